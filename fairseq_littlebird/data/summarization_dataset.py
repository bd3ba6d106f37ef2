"""Documents and their summaries as fairseq's pairs: padded on the right, cut only if asked.

Legend: B documents, L tokens of the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary, LanguagePairDataset
from torch import Tensor

from fairseq_littlebird.data.batch import indices_not_equal, pad
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion
from fairseq_littlebird.errors import UserError


class Tokens:
    """Items <int64>[L] of a memory-mapped data set, or of a list.

    Args:
        items: token ids, the last of each ``</s>``.
        sizes: their lengths.
    """

    def __init__(self, items: MappedItems | Sequence[Any], sizes: Sequence[int] | np.ndarray) -> None:
        self.items = items
        self.lengths = np.asarray(sizes, dtype=np.int64)
        self.limit: int | None = None

    @property
    def sizes(self) -> np.ndarray:
        """int64[items], as far as they are not cut."""
        return self.lengths if self.limit is None else np.minimum(self.lengths, self.limit)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Tensor:
        item = torch.as_tensor(np.asarray(self.items[index]).astype(np.int64))
        if self.limit is None or len(item) <= self.limit:
            return item
        return torch.cat([item[: self.limit - 1], item[-1:]])


class SummarizationDataset(LanguagePairDataset):
    """fairseq's pairs of documents and summaries.

    Args:
        documents: from ``<s>`` to ``</s>``.
        summaries: each with ``</s>`` at its end; None where there are none.
        dictionary: of both.
        decoder_start: id of the token that the decoder's input begins with.
        training: shuffle, and draw gaps.
        padding_insertion: of the training split, or None.
    """

    def __init__(
        self,
        documents: Tokens,
        summaries: Tokens | None,
        dictionary: Dictionary,
        decoder_start: int,
        training: bool = False,
        padding_insertion: PaddingInsertion | None = None,
        constraints: Any = None,
    ) -> None:
        super().__init__(
            documents,
            documents.sizes,
            dictionary,
            summaries,
            None if summaries is None else summaries.sizes,
            dictionary,
            left_pad_source=False,
            shuffle=training,
            eos=decoder_start,
            constraints=constraints,
        )
        self.training, self.padding_insertion, self.epoch = training, padding_insertion, 1

    def truncate(self, document: int | None = None, summary: int | None = None) -> None:
        """Cuts what is longer than so many tokens, but keeps its ``</s>``."""
        self.src.limit = document
        self.src_sizes = self.src.sizes
        if self.tgt is not None:
            self.tgt.limit = summary
            self.tgt_sizes = self.tgt.sizes
        self.sizes = self.src_sizes if self.tgt is None else np.stack([self.src_sizes, self.tgt_sizes], axis=1)

    def ordered_indices(self) -> np.ndarray:
        """By length, shuffled in training; the same whether longer ones are cut yet or not."""
        indices = np.random.permutation(len(self)) if self.shuffle else np.arange(len(self))
        if self.tgt is not None:
            indices = indices[np.argsort(self.tgt.lengths[indices], kind="stable")]
        return indices[np.argsort(self.src.lengths[indices], kind="stable")]

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return True  # gaps change, sizes do not

    def __getitem__(self, index: int) -> dict[str, Any]:
        item: dict[str, Any] = super().__getitem__(index)
        if self.padding_insertion is not None:
            item["positions"] = self.padding_insertion.positions(item["source"].numpy(), self.epoch, index)
        return item

    def collater(self, samples: list[dict[str, Any]], pad_to_length: Any = None) -> dict[str, Any]:
        """fairseq's batch, with ``unpadded`` <int64>[N], which of the [B · L] source tokens are not padding, and
        ``lengths``, B numbers; with padding insertion ``net_input`` also has ``positions`` <int64>[B, L]."""
        batch: dict[str, Any] = super().collater(samples, pad_to_length)
        if samples:
            given = batch["net_input"]
            batch["unpadded"] = indices_not_equal(given["src_tokens"], self.src_dict.pad())
            batch["lengths"] = given["src_lengths"].tolist()
        if samples and self.padding_insertion is not None:
            own = {sample["id"]: sample["positions"] for sample in samples}
            batch["net_input"]["positions"] = pad([own[index] for index in batch["id"].tolist()], 0, last=True)
        return batch


def mapped_tokens(folder: Path, split: str, part: str) -> Tokens:
    """The token ids of a part of a split.

    Raises:
        UserError: a file is missing or truncated.
    """
    items = MappedItems(folder / f"{split}.{part}")
    return Tokens(items, items.sizes)


def check_split(folder: Path, split: str, summarized: bool) -> None:
    """Raises UserError where a folder lacks a split, or its summaries where they are needed."""
    if not (folder / f"{split}.document.idx").exists():
        there = sorted(path.name.removesuffix(".document.idx") for path in folder.glob("*.document.idx"))
        remedy = f"name one of {', '.join(there)}" if there else "prepare some with littlebird-prepare summarization"
        raise UserError(f"no split {split!r} here", str(folder), remedy)
    if summarized and not (folder / f"{split}.summary.idx").exists():
        raise UserError(f"no summaries in the split {split!r}", str(folder), "train on one that has them")
