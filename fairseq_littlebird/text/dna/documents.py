"""Documents of DNA: passes over each chromosome, cut into documents of sentences (BigBird, section F.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from fairseq_littlebird.text.dna.fasta import Piece
from fairseq_littlebird.text.dna.nucleotides import reverse_complement


@dataclass(frozen=True)
class Cutting:
    """How documents are cut; the defaults are the paper's.

    Args:
        passes: over each chromosome.
        latest_start: a pass begins at a base drawn from 0 to it; of chromosomes shorter than twice that, from 0 to
            half of their bases.
        min_sentences, max_sentences: of a document, inclusive.
        min_bases, max_bases: of a sentence, inclusive.
        reverse_complement: write half of the documents, drawn at random, as the opposite strand.
        seed: random seed.
    """

    passes: int = 10
    latest_start: int = 5000
    min_sentences: int = 50
    max_sentences: int = 100
    min_bases: int = 500
    max_bases: int = 1000
    reverse_complement: bool = False
    seed: int = 1


class Document(NamedTuple):
    """Consecutive sentences of a chromosome.

    Args:
        chromosome: its name.
        start: the lowest of its bases, from 0.
        strand: 1, or -1 where it is the opposite strand.
        sentences: bases; the first one is at the highest place where the strand is -1.
    """

    chromosome: str
    start: int
    strand: int
    sentences: tuple[bytes, ...]


class DocumentCutter:
    """Cuts the documents of all chromosomes; those of the passes over one come in turn.

    Only what the unfinished documents of the passes hold is in memory. Where a piece does not begin at the end of the
    one before, after a gap, all documents end.

    Args:
        cutting: how.
    """

    def __init__(self, cutting: Cutting) -> None:
        self._cutting = cutting
        self._name, self._number, self._passes = "", -1, list[_Pass]()

    def add(self, piece: Piece) -> Iterator[Document]:
        """The documents that end with a piece; those of a chromosome are consecutive."""
        if piece.name != self._name:
            yield from self.end()
            self._name, self._number = piece.name, self._number + 1
            seeds = [(self._cutting.seed, self._number, n) for n in range(self._cutting.passes)]
            self._passes = [_Pass(piece.name, self._cutting, seed) for seed in seeds]
        for one in self._passes:
            yield from one.add(piece)

    def end(self) -> Iterator[Document]:
        """The documents that the last chromosome ends."""
        for one in self._passes:
            yield from one.end()
        self._passes = []


def documents(pieces: Iterable[Piece], cutting: Cutting) -> Iterator[Document]:
    """What :class:`DocumentCutter` makes of pieces."""
    cutter = DocumentCutter(cutting)
    for piece in pieces:
        yield from cutter.add(piece)
    yield from cutter.end()


class _Pass:
    """One pass over one chromosome."""

    def __init__(self, name: str, cutting: Cutting, seed: tuple[int, ...]) -> None:
        self._name, self._cutting = name, cutting
        self._rng = np.random.default_rng(seed)
        self._first: list[Piece] | None = []  # until it is known whether the chromosome is a short one
        self._seen = 0
        self._draw = self._rng.random()
        self._skip_to = 0
        self._begin = self._expected = -1
        self._bases = bytearray()
        self._lengths = self._new_lengths()

    def add(self, piece: Piece) -> Iterator[Document]:
        if self._first is None:
            yield from self._cut(piece)
            return
        self._first.append(piece)
        self._seen += len(piece.bases)
        if self._seen >= 2 * self._cutting.latest_start:
            yield from self._start()

    def end(self) -> Iterator[Document]:
        """What is left."""
        if self._first is not None:
            yield from self._start()
        yield from self._finish()

    def _start(self) -> Iterator[Document]:
        first, self._first = self._first or [], None
        latest = min(self._cutting.latest_start, self._seen // 2)
        self._skip_to = first[0].start + int(self._draw * (latest + 1)) if first else 0
        for piece in first:
            yield from self._cut(piece)

    def _cut(self, piece: Piece) -> Iterator[Document]:
        start = max(piece.start, self._skip_to)
        if start >= piece.end:
            return
        if start != self._expected:
            yield from self._finish()
        position = start - piece.start
        while position < len(piece.bases):
            if not self._bases:
                self._begin = piece.start + position
            stop = min(len(piece.bases), position + self._lengths[-1] - len(self._bases))
            self._bases += piece.bases[position:stop]
            position = stop
            if len(self._bases) == self._lengths[-1]:
                yield from self._finish()
        self._expected = piece.end

    def _finish(self) -> Iterator[Document]:
        """The document that is being read, as far as it goes."""
        if not self._bases:
            return
        ends = [end for end in self._lengths if end < len(self._bases)]
        parts = [bytes(self._bases[low:high]) for low, high in pairwise([0, *ends, len(self._bases)])]
        strand = 1
        if self._cutting.reverse_complement and self._rng.random() < 0.5:
            parts, strand = [reverse_complement(part) for part in reversed(parts)], -1
        yield Document(self._name, self._begin, strand, tuple(parts))
        self._bases.clear()
        self._lengths = self._new_lengths()

    def _new_lengths(self) -> list[int]:
        """Where the sentences of a new document end."""
        c = self._cutting
        count = int(self._rng.integers(c.min_sentences, c.max_sentences, endpoint=True))
        return [*accumulate(self._rng.integers(c.min_bases, c.max_bases, size=count, endpoint=True).tolist())]
