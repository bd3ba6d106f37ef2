"""Where the sequences of a prepared split lie in a genome."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.text.dna.places import NEGATIVE_ID, REVERSE_ID, GenomePlace, Surroundings, place_of

_REMEDY = "prepare it from regions of a genome, with --bed and --genome, or name the sequences CHROMOSOME:START-END"


class SplitPlaces:
    """The places of a split's sequences, some bytes each in memory. What is made of other sequences has none.

    Args:
        folder: of ``littlebird-prepare``.
        split: its name.
        surroundings: of the folder; None where sequences are not cut out around regions.
    Attributes:
        elsewhere: how many sequences have no place.
    Raises:
        UserError: no ids, or one that says no place.
    """

    def __init__(self, folder: Path, split: str, surroundings: Surroundings | None) -> None:
        path = folder / "id" / split
        if not path.parent.is_dir():
            raise UserError("no ids, and so no genome coordinates", str(folder), _REMEDY)
        self._ids, self._surroundings = MappedItems(path), surroundings
        self._named = surroundings is None or surroundings.site != "middle"
        self._numbers, self._codes, self._starts, self._ends = array("q"), array("q"), array("q"), array("q")
        chromosomes: dict[str, int] = {}
        for number in range(len(self._ids)):
            id = self._id(number)
            if id.endswith((NEGATIVE_ID, REVERSE_ID)):
                continue
            place = place_of(id, self._named)
            if place is None:
                raise UserError(f"{shown(id, 60)} has no genome coordinates", str(path), _REMEDY)
            self._numbers.append(number)
            self._codes.append(chromosomes.setdefault(place.chromosome, len(chromosomes)))
            self._starts.append(place.start)
            self._ends.append(place.end)
        self.elsewhere = len(self._ids) - len(self._numbers)
        self._ranks = np.argsort(np.argsort(np.array([*chromosomes], dtype=str)))

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[tuple[int, GenomePlace]]:
        """The number of each sequence and its region, by chromosome, start and end of the region."""
        return self._ordered(np.asarray(self._starts), np.asarray(self._ends))

    def by_sequence(self, bases: Callable[[int], int]) -> Iterator[tuple[int, GenomePlace]]:
        """The same by chromosome, start and end of what its tokens have of the sequence.

        Args:
            bases: that the tokens of a sequence have, by its number.
        Raises:
            UserError: see :meth:`sequence`.
        """
        ends = array("q"), array("q")
        for number in self._numbers:
            for column, end in zip(ends, self.sequence(self._place(number), bases(number)), strict=True):
                column.append(end)
        return self._ordered(*map(np.asarray, ends))

    def _ordered(self, starts: np.ndarray, ends: np.ndarray) -> Iterator[tuple[int, GenomePlace]]:
        if not len(self):
            return
        for n in np.lexsort((ends, starts, self._ranks[np.asarray(self._codes)])).tolist():
            yield self._numbers[n], self._place(self._numbers[n])

    def _place(self, number: int) -> GenomePlace:
        place = place_of(self._id(number), self._named)
        assert place is not None
        return place

    def _around(self, place: GenomePlace) -> tuple[int, int]:
        return (place.start, place.end) if self._surroundings is None else self._surroundings.around(place)

    def sequence(self, place: GenomePlace, bases: int) -> tuple[int, int]:
        """Start and end of the sequence of a region, which may lie beyond the chromosome's ends.

        Args:
            place: the region.
            bases: that its tokens have; fewer than the sequence's where it was cut.
        Raises:
            UserError: more than the sequence has.
        """
        whole = self._around(place)
        if bases > whole[1] - whole[0]:
            what = f"{bases:,} bases at {place.chromosome}:{place.start}-{place.end}"
            raise UserError(what, remedy="name the sequences by the places that they are from")
        return (whole[1] - bases, whole[1]) if place.strand < 0 else (whole[0], whole[0] + bases)

    def size(self, chromosome: str) -> int | None:
        """Bases of a chromosome, where they are known."""
        return self._surroundings.chromosomes.get(chromosome) if self._surroundings else None

    def _id(self, number: int) -> str:
        return self._ids[number].tobytes().decode()
