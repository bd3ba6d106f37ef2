"""A pretrained encoder as every reader hands it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as short
from typing import Any

from torch import Tensor

from fairseq_littlebird.checkpoints.key_maps import CONTEXT, POSITIONS, TOKEN_TYPES
from fairseq_littlebird.checkpoints.tensors import CHECKPOINTS, find_checkpoint
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import FullAttentionConfig


@dataclass(frozen=True)
class Source:
    """A Transformer encoder, its words still in the source's order.

    Args:
        kind: the format, in words.
        path: the file or folder it was read from.
        config: its sizes; ``vocab_size`` counts the source's rows.
        state: parameters under our names, float32; with a masked-language-model or a span head, or without.
        folder: where its tokenizer is.
        dictionary: the content of the dict.txt whose order the rows have; None: they have the tokenizer's.
        keys: how many keys the source has.
        dropped: keys left out on purpose.
        notes: what else was done to the parameters, a sentence each.
        model: what it is here, a name of fairseq's registry.
        options: of that model, where the source fixes them; ``attention_window`` as one number a layer.
        span_head: the kind of its span head, one of ``SPAN_HEADS``, or nothing.
    """

    kind: str
    path: Path
    config: FullAttentionConfig
    state: dict[str, Tensor]
    folder: Path
    dictionary: bytes | None
    keys: int
    dropped: list[str]
    notes: list[str] = field(default_factory=list)
    model: str = "full_attention"
    options: Mapping[str, Any] = field(default_factory=dict)
    span_head: str = ""

    @property
    def has_head(self) -> bool:
        """Whether there is a masked-language-model head."""
        return "lm_head.bias" in self.state


def float32(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters in float32, whatever they were saved in; integer buffers as they are."""
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def parameters(content: Any, where: str) -> dict[str, Tensor]:
    """The content itself, where it is a dictionary of tensors.

    Raises:
        UserError: it is something else.
    """
    if not isinstance(content, dict) or not content:
        raise UserError("no dictionary of parameters", where, "save the model's state_dict")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(f"{short(key)} is {type(value).__name__}, no parameter", where, "save the model again")
    return content


def fold_positions(state: dict[str, Tensor], offset: int, notes: list[str], context: bool = False) -> None:
    """Position rows start at position 0 and hold what every token gets: token-type row 0.

    All tokens of one text have type 0, so adding that row to every position gives the embedding norm the same input.
    With a question before it, a text has type 1.

    Args:
        state: changed in place; the token types leave it.
        offset: position rows before the first that a token uses (RoBERTa counts on from its padding's number).
        notes: gets a sentence for each step.
        context: keep what row 1 has more, for the text after a question.
    """
    if offset:
        state[POSITIONS] = state[POSITIONS][offset:].clone()
        notes.append(f"Position rows 0 to {offset - 1} are never used (positions start at {offset}): dropped.")
    types = state.pop(TOKEN_TYPES, None)
    if types is not None and len(types):
        state[POSITIONS] = state[POSITIONS] + types[0]
        context = context and len(types) > 1
        if context:
            state[CONTEXT] = types[1] - types[0]
        rest = len(types) - 1 - context
        others = ("; row 1 kept for what follows a question" if context else "") + (
            f"; the other {rest} dropped" if rest else ""
        )
        notes.append(f"Token-type row 0 added to every position row{others}.")


def sizes(where: str, state: Mapping[str, Tensor], **values: Any) -> FullAttentionConfig:
    """The encoder's sizes.

    Raises:
        UserError: they do not fit together, or not the parameters.
    """
    eps, layers = values["layer_norm_eps"], values["layers"]
    if not isinstance(eps, (int, float)) or not 0 <= eps < 1:
        raise UserError(f"layer_norm_eps is {short(eps)}", where, "give a small number")
    if layers > len(state):
        raise UserError(f"{layers} layers, but {len(state)} parameters", where, "save the whole model again")
    try:
        return FullAttentionConfig(**values | {"layer_norm_eps": float(eps)})
    except ValueError as error:
        raise UserError(str(error), where, "take a source whose heads divide its width") from error


def read_source(path: str | Path) -> Source:
    """Reads a pretrained encoder.

    Args:
        path: a fairseq checkpoint, a folder with one of ``CHECKPOINTS``, or a Hugging Face folder.
    Raises:
        UserError: neither; or one that LittleBird cannot start from.
    """
    from fairseq_littlebird.checkpoints.fairseq_checkpoint import read_fairseq
    from fairseq_littlebird.checkpoints.hugging_face import read_hugging_face

    path = Path(path)
    if not path.exists():
        raise UserError("no such file or folder", str(path), "check the path")
    if path.is_file():
        if path.suffix != ".pt":
            raise UserError("not a fairseq checkpoint", str(path), "give a .pt file, or the folder of a model")
        return read_fairseq(path)
    if (path / "config.json").exists():
        return read_hugging_face(path)
    if not any((path / name).is_file() for name in CHECKPOINTS):
        raise UserError(
            f"neither config.json (Hugging Face) nor one of {', '.join(CHECKPOINTS)} (fairseq) in this folder",
            str(path),
            "name the checkpoint's file or another folder",
        )
    return read_fairseq(find_checkpoint(path))
