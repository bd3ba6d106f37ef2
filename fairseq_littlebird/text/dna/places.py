"""Where sequences lie in a genome: their ids, as prepared folders have them, and what was cut around a region."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

NEGATIVE_ID, REVERSE_ID = ".negative", ".reverse"
"""The ends of the ids of sequences that are made of others: negatives, and opposite strands to train on."""

_PLACE = re.compile(
    r"(?:(?P<name>.*?):{1,2})?(?P<chromosome>[^:]+):(?P<start>\d+)-(?P<end>\d+)(?:\((?P<strand>[+-])\))?"
)
_BIN = re.compile(r"(?P<chromosome>.+):(?P<start>\d+)-(?P<end>\d+)(?:\((?P<strand>[+-])\))?")


class GenomePlace(NamedTuple):
    """A region of a genome.

    Args:
        chromosome: its name.
        start, end: from 0, ``end`` not included.
        name: of the region, "" where it has none.
        strand: 1, -1, or 0 where it is not known.
    """

    chromosome: str
    start: int
    end: int
    name: str = ""
    strand: int = 0


def place_of(id: str, named: bool = True) -> GenomePlace | None:
    """What an id says: ``chromosome:start-end``, with ``name:`` before it and ``(strand)`` behind it if known.

    That is also how bedtools names the sequences that it takes out of a genome.

    Args:
        id: of a sequence.
        named: whether a name may come first; otherwise the chromosome may have colons in its own.
    Returns:
        None where it is no such id.
    """
    found = (_PLACE if named else _BIN).fullmatch(id)
    if not found or not int(found["start"]) < int(found["end"]):
        return None
    strand = {"+": 1, "-": -1, None: 0}[found["strand"]]
    name = (found["name"] or "") if named else ""
    return GenomePlace(found["chromosome"], int(found["start"]), int(found["end"]), name, strand)


class Surroundings(NamedTuple):
    """What was cut out of a genome around regions, as ``prepared.json`` has it.

    Args:
        site: ``middle`` of a region, or its ``start`` in the direction of its strand.
        before, after: bases up to the site, and from it on, in the direction of the strand.
        chromosomes: bases of each that has a region.
    """

    site: str
    before: int
    after: int
    chromosomes: dict[str, int]

    def around(self, place: GenomePlace) -> tuple[int, int]:
        """Start and end of the sequence of a region; they may lie beyond the chromosome's ends."""
        if self.site == "middle":
            middle = (place.start + place.end) // 2
            return middle - self.before, middle + self.after
        if place.strand < 0:
            return place.end - self.after, place.end + self.before
        return place.start - self.before, place.start + self.after

    @classmethod
    def of(cls, settings: Any) -> Surroundings | None:
        """From what ``prepared.json`` has; None where it is damaged."""
        try:
            site, before, after, chromosomes = (settings[name] for name in cls._fields)
            sizes = {str(name): int(size) for name, size in chromosomes.items()}
            return cls(str(site), int(before), int(after), sizes)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
