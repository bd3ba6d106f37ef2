"""Candidates between symbols of their own: [q] question [/q] [ans] candidate [/ans] … (Zaheer et al., 2020, E.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fairseq_littlebird.text.example import Piece, QAExample
from fairseq_littlebird.text.paragraphs import SEPARATOR

QUESTION_MARKERS = ("[q]", "[/q]")
CANDIDATE_MARKERS = ("[ans]", "[/ans]")
MARKERS = (*QUESTION_MARKERS, *CANDIDATE_MARKERS)


def with_candidate_markers(example: QAExample) -> QAExample:
    """A question whose candidates, its fixed pieces, stand between markers; no separator is left between them.

    A separator stands for two characters: the marker that ends a candidate takes the first, what follows it the second.

    Args:
        example: pieces are candidates and separators by turns, then a separator and paragraphs, if there are any.
    """
    if not example.pieces or not example.fixed_pieces:
        return example
    fixed, rest = example.pieces[: example.fixed_pieces], example.pieces[example.fixed_pieces :]
    following = rest[0] if rest else None
    marked = tuple(_marked(fixed, following))
    return replace(example, pieces=(*marked, *rest[1:]), fixed_pieces=len(marked))


def _marked(fixed: Sequence[Piece], following: Piece | None) -> Iterator[Piece]:
    begin, end = CANDIDATE_MARKERS
    yield Piece(fixed[0].start, fixed[0].start, symbol=begin)
    for piece in fixed:
        if piece.symbol != SEPARATOR:
            yield piece
            continue
        yield Piece(piece.start, piece.start + 1, symbol=end)
        yield Piece(piece.start + 1, piece.stop, symbol=begin)
    last = fixed[-1].stop
    if following is None:
        yield Piece(last, last, symbol=end)
        return
    yield Piece(following.start, following.start + 1, symbol=end)
    yield Piece(following.start + 1, following.stop, symbol=SEPARATOR)
