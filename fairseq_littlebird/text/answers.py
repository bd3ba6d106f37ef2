"""Where an answer stands: in the document's characters, then in its tokens."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import numpy as np

from fairseq_littlebird.text.example import Answer
from fairseq_littlebird.text.matching import find_normalised, normalised_occurrences


class Place(NamedTuple):
    """[start, stop) characters of an answer; ``certain`` unless its text stands in several places, none as given."""

    start: int
    stop: int
    certain: bool = True


def locate(document: str, answer: Answer) -> Place | None:
    """Where an answer stands, or None where its text does not or it has no place.

    An offset that matches its text is kept. Otherwise the text is looked for in any normalisation form, and of several
    places the one nearest to the offset is taken. A negative offset says that there is no place.
    """
    if answer.start < 0 or not answer.text.strip():
        return None
    low, high = answer.within or (0, len(document))
    stop = answer.start + len(answer.text)
    if low <= answer.start and stop <= high and document.startswith(answer.text, answer.start):
        return Place(answer.start, stop)
    part = document[low:high]
    found = find_normalised(part, answer.text, near=answer.start - low)
    if found is None:
        return None
    several = len(list(islice(normalised_occurrences(part, answer.text), 2))) > 1
    return Place(low + found[0], low + found[1], certain=not several)


def token_span(offsets: np.ndarray, document: str, start: int, stop: int) -> tuple[int, int] | None:
    """First and last (inclusive) token that cover ``document[start:stop]``, or None where no token does.

    A span that starts or stops inside a token takes the whole token; one that starts and stops where tokens
    do is met exactly. White space at the span's ends counts for nothing.

    Args:
        offsets: integer[n, 2], the tokens' [start, end) characters, neither column ever decreasing.
        document: the text that the offsets refer to.
        start: first character of the span.
        stop: the character after its last.
    """
    span = document[start:stop]
    start += len(span) - len(span.lstrip())
    stop = start + len(span.strip())
    starts, ends = offsets[:, 0], offsets[:, 1]
    first = int(np.searchsorted(ends, start, side="right"))
    last = int(np.searchsorted(starts, stop, side="left")) - 1
    if start >= stop or first > last:
        return None
    # tokens made from one character overlap: leave out what reaches further than it must
    if starts[first] < start:
        aligned = int(np.searchsorted(starts, start, side="left"))
        first = aligned if aligned <= last and starts[aligned] == start else first
    if ends[last] > stop:
        aligned = int(np.searchsorted(ends, stop, side="right")) - 1
        last = aligned if aligned >= first and ends[aligned] == stop else last
    # an empty token (a word boundary without a character) is not where an answer ends
    while last > first and starts[last] == ends[last]:
        last -= 1
    return first, last
