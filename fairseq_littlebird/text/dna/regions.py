"""The bases of regions, cut out of a genome that is read once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.bed import Region, bare_name
from fairseq_littlebird.text.dna.fasta import Piece
from fairseq_littlebird.text.dna.nucleotides import reverse_complement


class Cut(NamedTuple):
    """What to take of a chromosome.

    Args:
        region: of the file of regions; it must lie on the chromosome.
        start, end: from 0, ``end`` not included; what lies beyond the chromosome's ends becomes N.
        reverse: take the opposite strand.
    """

    region: Region
    start: int
    end: int
    reverse: bool = False


class CutOut(NamedTuple):
    """What a cut takes.

    Args:
        number: of the cut.
        chromosome: its name in the genome.
        bases: of ``ALPHABET``.
    """

    number: int
    chromosome: str
    bases: bytes


class RegionCutter:
    """Cuts regions out of a genome; memory does not grow with it, but with the longest region.

    A chromosome is the same with and without ``chr``.

    Args:
        cuts: what to take, in any order.
        genome: its file, for messages.
    Attributes:
        chromosomes: bases of each chromosome of the genome that a region is on, once it is read.
        note: which names differ, for people to read; "" if none do. Known at the end.
        padded: regions that have N for what lies beyond the ends of a chromosome.
    """

    def __init__(self, cuts: Sequence[Cut], genome: str | Path) -> None:
        self._cuts, self._genome = cuts, genome
        self._left: dict[str, list[int]] = defaultdict(list)
        for number, cut in enumerate(cuts):
            self._left[bare_name(cut.region.chromosome)].append(number)
        self._there: list[str] = []
        self._taken: dict[str, str] = {}  # name without chr -> of the genome, of those that a region is on
        self._renamed: dict[str, str] = {}
        self.chromosomes: dict[str, int] = {}
        self._furthest: Region | None = None  # of the chromosome that is read
        self.padded = 0

    def __call__(self, pieces: Iterable[Piece]) -> Iterator[CutOut]:
        """What the cuts take, chromosome by chromosome, in the order of their starts.

        Raises:
            UserError: a region beyond the end of its chromosome, or on none of the genome, with file and line; a
                chromosome with regions that is there twice, with and without ``chr``.
        """
        name, waiting, buffer, offset, length = "", list[int](), bytearray(), 0, 0
        for piece in pieces:
            if piece.name != name:
                yield from self._last(name, waiting, buffer, offset, length)
                name, buffer, offset, length = piece.name, bytearray(), 0, 0
                waiting = self._begin(name)
            length = piece.end
            if name in self.chromosomes:
                self.chromosomes[name] = length
            if not waiting:
                continue
            buffer += piece.bases
            while waiting and self._cuts[waiting[-1]].end <= length:
                yield self._cut_out(name, waiting.pop(), buffer, offset, length)
            needed = max(0, self._cuts[waiting[-1]].start) if waiting else length
            if needed > offset:
                del buffer[: needed - offset]
                offset = min(needed, length)
        yield from self._last(name, waiting, buffer, offset, length)
        if self._left:
            region = self._cuts[min(number for numbers in self._left.values() for number in numbers)].region
            there = ", ".join(self._there[:5]) + (", …" if len(self._there) > 5 else "")
            what = f"no chromosome {region.chromosome!r} in {self._genome}, which has {there}"
            raise UserError(what, region.where, "use the names of the genome")

    @property
    def note(self) -> str:
        if not self._renamed:
            return ""
        first, own = next(iter(self._renamed.items()))
        more = f", and {len(self._renamed) - 1} more" if len(self._renamed) > 1 else ""
        return f"chromosome {first} of the regions is {own} in {self._genome}{more}"

    def _begin(self, name: str) -> list[int]:
        """The cuts of a chromosome, the first one last."""
        self._there.append(name)
        bare = bare_name(name)
        if bare in self._taken:
            what = f"{self._taken[bare]} and {name} are one chromosome, as names with and without chr are the same here"
            raise UserError(what, str(self._genome), "leave one of them out, or rename it")
        numbers = self._left.pop(bare, [])
        self._furthest = None
        if numbers:
            self._taken[bare] = name
            self.chromosomes[name] = 0
            self._furthest = max((self._cuts[number].region for number in numbers), key=lambda region: region.end)
        for number in numbers:
            given = self._cuts[number].region.chromosome
            if given != name:
                self._renamed[given] = name
        return sorted(numbers, key=lambda number: (self._cuts[number].start, number), reverse=True)

    def _last(self, name: str, waiting: list[int], buffer: bytearray, offset: int, length: int) -> Iterator[CutOut]:
        """The cuts at the end of a chromosome, on which all of its regions must lie."""
        region = self._furthest
        if region is not None and region.end > length:
            what = f"a region that ends at {region.end:,}, but {name} has {length:,} bases in {self._genome}"
            raise UserError(what, region.where, "take the genome that the regions are of")
        while waiting:
            yield self._cut_out(name, waiting.pop(), buffer, offset, length)

    def _cut_out(self, name: str, number: int, buffer: bytearray, offset: int, length: int) -> CutOut:
        cut = self._cuts[number]
        low, high = max(0, cut.start), max(0, min(cut.end, length))
        bases = b"N" * (min(0, cut.end) - min(0, cut.start)) + bytes(buffer[low - offset : max(low, high) - offset])
        bases += b"N" * (cut.end - cut.start - len(bases))
        self.padded += cut.start < 0 or cut.end > length
        return CutOut(number, name, reverse_complement(bases) if cut.reverse else bases)
