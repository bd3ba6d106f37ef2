"""Runs of N, the gaps of an assembly, left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fairseq_littlebird.text.dna.fasta import Piece

SHORTEST_GAP = 20
"""N; single ones are bases that are not known, and stay."""


def without_gaps(pieces: Iterable[Piece], run: int) -> Iterator[Piece]:
    """``pieces`` without runs of at least so many N, which may go over the ends of pieces.

    A piece that does not begin where the last one ended comes after a gap.

    Args:
        pieces: of records, each record's consecutive.
        run: the shortest run of N that is left out, from 1.
    """
    gap = re.compile(b"N{%d,}" % run)
    name, end, held = "", 0, 0  # held: N at the end of the piece before, which may be the beginning of a run
    for piece in pieces:
        if piece.name != name:
            yield from _short_run(name, end, held, run)
            name, held = piece.name, 0
        end = piece.end
        body = piece.bases.lstrip(b"N")
        held += len(piece.bases) - len(body)
        if not body:
            continue
        start = piece.end - len(body)
        if held < run:
            body, start = b"N" * held + body, start - held
        kept = body.rstrip(b"N")
        held, done = len(body) - len(kept), 0
        for found in gap.finditer(kept):
            yield Piece(name, start + done, kept[done : found.start()])
            done = found.end()
        yield Piece(name, start + done, kept[done:])
    yield from _short_run(name, end, held, run)


def _short_run(name: str, end: int, held: int, run: int) -> Iterator[Piece]:
    """The N at the end of a record, where they are too few to be left out."""
    if 0 < held < run:
        yield Piece(name, end - held, b"N" * held)
