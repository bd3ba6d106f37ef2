"""Consecutive sentences of DNA documents in chunks of a length, and where they lie in the genome.

Legend: L tokens of a chunk.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairseq_littlebird.data.dna_metadata import HEAD, PLACES
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError


class Place(NamedTuple):
    """Where sentences lie: the number of the chromosome, and bases from 0, ``high`` not included."""

    chromosome: int
    low: int
    high: int

    def overlaps(self, other: Place) -> bool:
        return self.chromosome == other.chromosome and self.low < other.high and other.low < self.high


class DnaChunks:
    """Chunks of a split of a folder of ``littlebird-prepare dna``.

    Each has as many whole sentences of one document as fit. A sentence that is longer than a chunk is cut. A chunk of a
    single token is left out. Opening a split reads the lengths of its sentences alone, and processes may share it.

    Args:
        folder: the folder.
        split: its name.
        max_tokens: of a chunk, at least 2, special symbols not counted.
        eos: id of </s>.
    Attributes:
        sizes: int64[chunks], tokens of each.
    Raises:
        UserError: a file is missing, truncated, or does not belong to the others.
    """

    def __init__(self, folder: Path, split: str, max_tokens: int, eos: int) -> None:
        self._tokens, self._places = MappedItems(folder / split), MappedItems(folder / f"{split}.{PLACES}")
        self._eos = eos
        ends = np.flatnonzero(np.asarray(self._tokens.sizes) == 1)
        if len(ends) != len(self._places):
            what = f"{len(ends)} documents, but {len(self._places)} places"
            raise UserError(what, str(folder / split), "prepare the folder again")
        columns = [array("q") for _ in range(6)]
        first_item = 0
        for document, end in enumerate(ends.tolist()):
            flat = self._tokens.start(first_item)
            for low, high, first, last in _cut(self._tokens.sizes[first_item:end] - 1, max_tokens):
                if high - low > 1:
                    row = (flat + low + first, flat + high + last, document, first, last, high - low)
                    for column, number in zip(columns, row, strict=True):
                        column.append(number)
            first_item = end + 1
        *arrays, self.sizes = (
            np.frombuffer(column, np.int64) if column else np.zeros(0, np.int64) for column in columns
        )
        self._starts, self._stops, self._documents, self._first, self._last = arrays

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The tokens of a chunk, int64[L], and which of them end a sentence within it, bool[L]."""
        raw = self._tokens.stretch(int(self._starts[index]), int(self._stops[index])).astype(np.int64)
        is_end = raw == self._eos
        return raw[~is_end], np.append(is_end[1:], False)[~is_end]

    def place(self, index: int) -> Place:
        """Where the sentences lie that a chunk has a part of, on either strand."""
        row = self._places[int(self._documents[index])]
        chromosome, low, strand = row[:HEAD].tolist()
        bases, first, last = row[HEAD:], int(self._first[index]), int(self._last[index])
        before, within = int(bases[:first].sum()), int(bases[first : last + 1].sum())
        start = low + before if strand > 0 else low + int(bases.sum()) - before - within
        return Place(chromosome, start, start + within)


def _cut(lengths: np.ndarray, most: int) -> list[tuple[int, int, int, int]]:
    """First token and the one after the last, first and last sentence of each chunk of a document.

    Args:
        lengths: int[n], tokens of its sentences.
        most: tokens of a chunk.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    total, low, chunks = int(ends[-1]) if len(ends) else 0, 0, []
    while low < total:
        fitting = int(np.searchsorted(ends, low + most, side="right")) - 1
        high = int(ends[fitting]) if fitting >= 0 else 0
        if high <= low:
            high = min(low + most, total)
        first, last = np.searchsorted(ends, [low, high - 1], side="right").tolist()
        chunks.append((low, high, first, last))
        low = high
    return chunks
