"""Chunks of text for pretraining, which have no more tokens than was said."""

from __future__ import annotations

from typing import Any

from fairseq.data.shorten_dataset import maybe_shorten_dataset


class Chunks:
    """What tasks of MaskedLMTask's kind load."""

    cfg: Any

    def _load_dataset_split(self, split: str, epoch: int, combine: bool) -> Any:
        """fairseq shortens a line to the tokens of a chunk, and then puts <s> before it: one more than positions."""
        dataset = super()._load_dataset_split(split, epoch, combine)  # type: ignore[misc]
        method = "none" if self.cfg.shorten_method == "none" else "truncate"
        options = self.cfg.shorten_data_split_list, method, self.cfg.tokens_per_sample, self.cfg.seed
        return maybe_shorten_dataset(dataset, split, *options)
