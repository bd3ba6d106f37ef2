"""Checkpoints that carry the dictionary and the tokenizer which they were trained with."""

from __future__ import annotations

from typing import Any

from fairseq_littlebird.data.model_folder import carried_files, read_files
from fairseq_littlebird.data.shards import folder_of, words_of
from fairseq_littlebird.errors import UserError


class CarriedFiles:
    """A mixin for a task whose ``cfg.data`` is a folder, or several joined by colons."""

    cfg: Any

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = super().state_dict()  # type: ignore[misc]
        return state | {"files": read_files(folder_of(self.cfg.data))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises UserError where a checkpoint's words are not the folder's, or it is damaged."""
        every = read_files(folder_of(self.cfg.data)), carried_files(state_dict)
        words = [words_of(files["dict.txt"].numpy().tobytes()) for files in every if "dict.txt" in files]
        if words[1:] and words[0] != words[1]:
            raise UserError(
                f"the checkpoint's words are others than those of {self.cfg.data}",
                remedy="prepare the data with the dict.txt and the tokenizer that it was trained with",
            )
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "files"})  # type: ignore[misc]
