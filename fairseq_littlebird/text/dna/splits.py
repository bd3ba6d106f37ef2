"""Which bases of a genome are for validation: chromosomes, or blocks drawn at random."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from zlib import crc32

import numpy as np

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.bed import bare_name
from fairseq_littlebird.text.dna.fasta import Piece

TRAIN, VALID = "train", "valid"


class GenomeSplit:
    """Training and validation parts that share no base.

    Args:
        chromosomes: names of those for validation, with or without ``chr``.
        share: of all others, the share of their blocks that is for validation; a block of each seed and place always
            has the same part.
        block: bases of a block; a chromosome begins one.
        seed: of the draw.
    """

    def __init__(
        self, chromosomes: Collection[str] = (), share: float = 0.0, block: int = 1_000_000, seed: int = 1
    ) -> None:
        self._given = {bare_name(name): name for name in chromosomes}
        self._missing = set(self._given)
        self._share, self._block, self._seed = share, block, seed

    def __call__(self, pieces: Iterable[Piece]) -> Iterator[tuple[str, Piece]]:
        """Each piece, cut where blocks end, with its split."""
        for piece in pieces:
            bare = bare_name(piece.name)
            if bare in self._given or not self._share:
                self._missing.discard(bare)
                yield (VALID if bare in self._given else TRAIN), piece
                continue
            start = piece.start
            while start < piece.end:
                number = start // self._block
                end = min(piece.end, (number + 1) * self._block)
                part = Piece(piece.name, start, piece.bases[start - piece.start : end - piece.start])
                drawn = np.random.default_rng([self._seed, crc32(piece.name.encode()), number]).random()
                yield (VALID if drawn < self._share else TRAIN), part
                start = end

    def check_all_there(self, where: str) -> None:
        """Raises UserError where a chromosome for validation was in no piece."""
        if self._missing:
            names = ", ".join(sorted(self._given[bare] for bare in self._missing))
            raise UserError(f"no base of {names}, to validate on", where, "give names of its chromosomes")
