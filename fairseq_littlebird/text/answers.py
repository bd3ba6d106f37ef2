"""Where an answer stands: in the document's characters, then in its tokens."""

from __future__ import annotations

import numpy as np

from fairseq_littlebird.text.example import Answer

NEAR = 50
"""Characters on either side of a wrong offset in which an answer's text is searched."""


def locate(document: str, answer: Answer) -> int | None:
    """Character offset of the answer's text, or None where it cannot be known.

    An offset that matches its text is kept. One that does not is repaired if the text starts exactly once
    within ``NEAR`` characters of it; a negative offset says nothing and is never repaired.
    """
    if answer.start < 0 or not answer.text.strip():
        return None
    if document.startswith(answer.text, answer.start):
        return answer.start
    low, high = max(0, answer.start - NEAR), answer.start + NEAR + len(answer.text)
    first = document.find(answer.text, low, high)
    return first if first >= 0 and document.find(answer.text, first + 1, high) < 0 else None


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
    # an empty token (a word boundary without a character) is no place for an answer to end
    while last > first and starts[last] == ends[last]:
        last -= 1
    return first, last
