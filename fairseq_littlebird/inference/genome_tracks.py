"""Files that genome browsers open: BED and bedGraph, counted from 0, ends not included, sorted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fairseq_littlebird.text.dna.places import GenomePlace

_STRANDS = {1: "+", -1: "-", 0: "."}


def bed_lines(regions: Iterable[tuple[GenomePlace, Sequence[tuple[str, float]]]]) -> Iterator[str]:
    """A line for each label of each region, by chromosome, start and end.

    Its name is the label, behind the region's own if it has one; its score is 1,000 times the probability.

    Args:
        regions: in that order, each with its labels and their probabilities.
    """
    for place, labels in regions:
        for label, probability in labels:
            name = f"{place.name}:{label}" if place.name else label
            columns = (place.chromosome, place.start, place.end, name.replace("\t", " "), round(1000 * probability))
            yield "\t".join(map(str, (*columns, _STRANDS[place.strand]))) + "\n"


class BedGraph:
    """Means of values over bases as lines of a bedGraph file, which has one value a base.

    Sequences come by chromosome and start; bases that none has are left out, and memory is that of sequences which
    overlap.
    """

    def __init__(self) -> None:
        self._chromosome, self._start = "", 0
        self._sums, self._counts = np.zeros(0), np.zeros(0, np.int64)

    def add(self, chromosome: str, start: int, values: np.ndarray, size: int | None = None) -> Iterator[str]:
        """The lines of the bases that no later sequence can have.

        Args:
            chromosome: of the sequence.
            start: its first base; what lies before base 0 or from ``size`` on is left out.
            values: <float>[n], of its bases.
            size: bases of the chromosome, if known.
        Raises:
            ValueError: a sequence that begins before the one before.
        """
        stop = start + len(values) if size is None else min(size, start + len(values))
        low = max(0, start)
        values = values[low - start : max(low, stop) - start]
        if chromosome != self._chromosome:
            yield from self.end()
            self._chromosome, self._start = chromosome, low
        if low < self._start:
            raise ValueError(f"{chromosome}:{low} after {self._start}")
        yield from self._flush(low)
        missing = len(values) - len(self._sums)
        if missing > 0:
            self._sums = np.append(self._sums, np.zeros(missing))
            self._counts = np.append(self._counts, np.zeros(missing, np.int64))
        self._sums[: len(values)] += values
        self._counts[: len(values)] += 1

    def end(self) -> Iterator[str]:
        """The lines of what is left."""
        yield from self._flush(self._start + len(self._sums))

    def _flush(self, stop: int) -> Iterator[str]:
        """The lines of the bases before ``stop``."""
        count = min(stop - self._start, len(self._sums))
        counts = self._counts[:count]
        means = self._sums[:count] / np.maximum(counts, 1)
        changes = np.flatnonzero((np.diff(means) != 0) | (np.diff(counts > 0) != 0)) + 1
        bounds = [0, *changes.tolist(), count] if count else []
        for low, high in zip(bounds, bounds[1:], strict=False):
            if counts[low]:
                yield f"{self._chromosome}\t{self._start + low}\t{self._start + high}\t{means[low]:.6g}\n"
        self._sums, self._counts = self._sums[count:], self._counts[count:]
        self._start = stop


def track_line(name: str) -> str:
    """What begins one of several tracks of a file."""
    told = name.replace('"', "'")
    return f'track type=bedGraph name="{told}"\n'
