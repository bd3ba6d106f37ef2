"""The tokens of a split as one sequence, read a part at a time.

Legend: T tokens, N items of the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np
from fairseq.data import indexed_dataset

from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError


class TokenStream:
    """Token ids of memory-mapped data sets, one after the other, from the first of the first item on.

    Args:
        parts: the data sets, with at least one item or none.
    """

    def __init__(self, parts: Sequence[MappedItems]) -> None:
        self.parts = parts
        self._first_items = np.cumsum([0, *map(len, parts)])
        self.ends = np.cumsum(np.concatenate([part.sizes for part in parts]), dtype=np.int64)  # [N]

    @classmethod
    def of_split(cls, folder: Path, split: str, combine: bool = False) -> TokenStream:
        """That of a split.

        Args:
            folder: with the data sets.
            split: its name.
            combine: with ``split1``, ``split2`` … after it, as far as they are there, as fairseq-train reads them.
        Raises:
            UserError: a file is truncated or of another kind than fairseq-preprocess writes by default.
        """
        names = [split]
        for number in count(1) if combine else ():
            if not (folder / f"{split}{number}.idx").exists():
                break
            names.append(f"{split}{number}")
        for path in (folder / name for name in names):
            if indexed_dataset.infer_dataset_impl(str(path)) != "mmap":
                remedy = "binarize it again without --dataset-impl"
                raise UserError("not a memory-mapped data set", str(path), remedy)
        return cls([MappedItems(folder / name) for name in names])

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def read(self, start: int, stop: int) -> np.ndarray:
        """The tokens [start, stop), int64[stop - start]; no more than these are read."""
        pieces = []
        item = int(np.searchsorted(self.ends, start, side="right"))
        while start < stop:
            part = int(np.searchsorted(self._first_items, item, side="right")) - 1
            first = start - (int(self.ends[item - 1]) if item else 0)
            read = self.parts[part].part(item - int(self._first_items[part]), first, first + stop - start)
            pieces.append(read)
            start += len(read)
            item += 1
        return np.concatenate(pieces).astype(np.int64) if pieces else np.zeros(0, np.int64)

    def documents(self, lines: bool) -> np.ndarray:
        """int64[D, 2], where each text begins and ends: every item that has tokens, or all of them as one."""
        if not lines:
            return np.array([[0, len(self)]], dtype=np.int64)[: len(self)]
        spans = np.stack([np.concatenate([[0], self.ends[:-1]]), self.ends], axis=1)
        return spans[spans[:, 0] < spans[:, 1]]
