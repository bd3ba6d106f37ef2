"""Bins of a genome with labels: chromatin profiles, from regions and a table beside them."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import overload

import numpy as np

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.text.dna.bed import Region, bare_name, read_bed
from fairseq_littlebird.text.dna.regions import Cut

TRAIN, VALID, TEST = "train", "valid", "test"


@dataclass(frozen=True)
class ChromatinSplit:
    """Which bins are for what; the defaults are DeepSEA's (Zhou and Troyanskaya, 2015).

    Args:
        test: chromosomes to test on.
        valid: chromosome, first and last base, from 1 and both included: the bins within it are for validation.
        left_out: chromosomes that are not used.
    """

    test: Collection[str] = ("chr8", "chr9")
    valid: tuple[str, int, int] = ("chr7", 30_508_751, 35_296_850)
    left_out: Collection[str] = ("chrX", "chrY", "chrM")

    def __call__(self, region: Region) -> str | None:
        """The split of a bin; None for none."""
        bare = bare_name(region.chromosome)
        if bare in map(bare_name, self.test):
            return TEST
        chromosome, first, last = self.valid
        if bare == bare_name(chromosome) and first - 1 <= region.start and region.end <= last:
            return VALID
        return None if bare in map(bare_name, self.left_out) else TRAIN


class LabelledBins(Sequence[Cut]):
    """The bins of a BED file and their labels, as what to cut out of a genome; some bytes a bin are in memory.

    Args:
        bed: the bins.
        table: their labels in the same order, see :func:`label_rows`.
        context: bases of a sequence, whose middle is that of the bin.
        split: which bins are for what.
        width: how many labels there should be, or None.
    Attributes:
        width: how many labels there are.
        names: of the labels, where the table has them.
        splits: of each bin, one of those of ``order``.
        left_out: bins for nothing.
    Raises:
        UserError: files of different lengths, or what :func:`read_bed` and :func:`label_rows` raise.
    """

    order = (TRAIN, VALID, TEST)

    def __init__(
        self, bed: str | Path, table: str | Path, context: int, split: ChromatinSplit, width: int | None
    ) -> None:
        self._bed, self._context = bed, context
        self._chromosomes: dict[str, int] = {}
        self._codes, self._starts, self._ends, self._lines = array("i"), array("q"), array("q"), array("q")
        self._labels, self._bounds = array("H"), array("q", [0])
        self.splits, self.left_out = array("b"), 0
        rows = LabelRows(table, width)
        for region, row in zip_longest(read_bed(bed), rows):
            if region is None or row is None:
                short, long = (bed, table) if region is None else (table, bed)
                raise UserError(f"fewer bins than in {long}", str(short), "give the labels of the same bins")
            found = split(region)
            if found is None:
                self.left_out += 1
                continue
            self._codes.append(self._chromosomes.setdefault(region.chromosome, len(self._chromosomes)))
            self._starts.append(region.start)
            self._ends.append(region.end)
            self._lines.append(int(region.where.rpartition(" ")[2].replace(",", "")))
            self._labels.extend(row)
            self._bounds.append(len(self._labels))
            self.splits.append(self.order.index(found))
        self.width, self.names = rows.width, rows.names
        self._names = [*self._chromosomes]

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Cut: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Cut]: ...
    def __getitem__(self, index: int | slice) -> Cut | Sequence[Cut]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        where = f"{self._bed}, line {self._lines[index]:,}"
        region = Region(self._names[self._codes[index]], self._starts[index], self._ends[index], where)
        start = (region.start + region.end) // 2 - self._context // 2
        return Cut(region, start, start + self._context)

    def labels(self, index: int) -> list[int]:
        """The numbers of a bin's labels, ascending."""
        return self._labels[self._bounds[index] : self._bounds[index + 1]].tolist()


class LabelRows:
    """The labels of each row of a table, their numbers from 0 ascending; once through.

    The table is text, a row a line with 0 or 1 a label and tabs or spaces between, whose first line may have the names
    of the labels; or an ``.npy`` array of 0 and 1.

    Args:
        path: the file.
        width: how many labels there should be, or None.
    Attributes:
        width: how many there are, after the first row.
        names: of the labels; none where the table does not have them.
    Raises (while it is iterated):
        UserError: a row of another width, or another cell than 0 and 1, with its line.
    """

    def __init__(self, path: str | Path, width: int | None) -> None:
        self._path, self.width, self.names = path, width or 0, tuple[str, ...]()

    def __iter__(self) -> Iterator[list[int]]:
        return self._of_array() if str(self._path).endswith(".npy") else self._of_text()

    def _check(self, width: int, where: str) -> None:
        if self.width and width != self.width:
            raise UserError(f"{width:,} labels instead of {self.width:,}", where, "give as many as there are names")
        self.width = width

    def _of_text(self) -> Iterator[list[int]]:
        with open_text(self._path) as lines:
            for number, line in enumerate(lines, start=1):
                cells, where = line.split(), f"{self._path}, line {number:,}"
                if not cells:
                    continue
                other = next((cell for cell in cells if cell not in ("0", "1")), None)
                self._check(len(cells), where)
                if other is not None and number == 1:
                    self.names = tuple(cells)
                    continue
                if other is not None:
                    raise UserError(f"expected 0 or 1, got {shown(other)}", where, "correct the cell")
                yield [n for n, cell in enumerate(cells) if cell == "1"]

    def _of_array(self) -> Iterator[list[int]]:
        try:
            rows = np.load(self._path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError) as error:
            raise UserError("not a readable .npy file", str(self._path), "check the path, or write it again") from error
        if rows.ndim != 2:
            raise UserError(f"an array of the shape {rows.shape}", str(self._path), "give a row a bin")
        self._check(rows.shape[1], str(self._path))
        for number, row in enumerate(rows):
            if not ((row == 0) | (row == 1)).all():
                raise UserError("expected 0 and 1 alone", f"{self._path}, row {number:,}", "correct the row")
            yield np.flatnonzero(row).tolist()
