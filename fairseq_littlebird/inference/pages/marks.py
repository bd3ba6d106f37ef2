"""Marked parts of a document as HTML, whole or around the marks alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from fairseq_littlebird.inference.pages.style import escape

WHOLE = 200_000
"""Characters of a document that is shown in full; of a longer one only the passages around the marks are."""
AROUND = 2_000
"""Characters before and after each end of a mark that are shown of a long document."""


class Mark(NamedTuple):
    """Characters of a document, and the tags around them."""

    start: int
    end: int
    opening: str
    closing: str


def around(places: Iterable[int], length: int) -> list[tuple[int, int]]:
    """Parts of a document around each place, in order, apart from each other; without one its head.

    Args:
        places: numbers of characters.
        length: of the document.
    """
    parts: list[tuple[int, int]] = []
    for place in sorted(places) or [0]:
        start, end = max(0, place - AROUND), min(length, place + AROUND)
        if parts and start <= parts[-1][1]:
            start, _ = parts.pop()
        parts.append((start, end))
    return parts


def marked(document: str, start: int, stop: int, marks: Sequence[Mark], begun: set[Mark]) -> str:
    """``document[start:stop]`` escaped, every mark around its characters; where marks overlap the first is innermost.

    A mark that another one cuts is written in several pieces, its id on the first alone. Those that have begun are
    added to ``begun``.
    """
    bounds = sorted({start, stop, *(min(max(at, start), stop) for mark in marks for at in mark[:2])})
    pieces = []
    for first, last in pairwise(bounds):
        piece = escape(document[first:last])
        for mark in marks:
            if mark.start <= first and last <= mark.end:
                again = mark in begun
                opening = re.sub(r' id="[^"]*"', "", mark.opening) if again else mark.opening
                piece = f"{opening}{piece}{mark.closing}"
                begun.add(mark)
        pieces.append(piece)
    return "".join(pieces)


def shown(document: str, marks: Sequence[Mark]) -> str:
    """A document with its marks: in full, or what is around them where it is long."""
    parts, at = [(0, len(document))], 0
    if len(document) > WHOLE:
        parts = around([end for mark in marks for end in mark[:2]], len(document))
    pieces, begun = [], set[Mark]()
    for start, stop in parts:
        pieces += [_left_out(start - at), marked(document, start, stop, marks, begun)]
        at = stop
    pieces.append(_left_out(len(document) - at))
    return "".join(pieces)


def _left_out(characters: int) -> str:
    return f'<p class="gap" dir="ltr">… {characters:,} characters left out …</p>' if characters else ""
