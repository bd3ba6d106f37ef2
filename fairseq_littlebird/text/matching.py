"""Where a text occurs in another, whichever Unicode normalisation form either is in: NFC, NFD, or neither.

Offsets are those of the text as given, and no occurrence starts or stops inside a grapheme.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import regex

from fairseq_littlebird.text.graphemes import grapheme_starts

LONGEST = 2_000
"""Characters; a longer text is nowhere. No model answers so much, and the work grows with the length."""

_WORD = regex.compile(r"\w+")  # of this module, where combining marks are parts of words


class _Composed(NamedTuple):
    """A document in NFC, and where its graphemes stand there.

    Args:
        text: the document in NFC.
        places: integer[g + 1], the first character in ``text`` of each grapheme, and its length.
        origins: integer[g + 1], the same in the document as given.
    """

    text: str
    places: np.ndarray
    origins: np.ndarray


def find_normalised(document: str, answer: str, near: int | None = None) -> tuple[int, int] | None:
    """[start, stop) characters of an answer in its document, or None where it is not.

    Args:
        document: where to look.
        answer: what to look for, to the letter except for the normalisation form.
        near: of several occurrences, the one that starts nearest to this character; None for the first.
    """
    if near is None:
        return next(normalised_occurrences(document, answer), None)
    found = (_found(document, answer, near, backwards) for backwards in (True, False))
    nearest = [span for side in found if (span := next(side, None))]
    return min(nearest, key=lambda span: abs(span[0] - near), default=None)


def normalised_occurrences(document: str, answer: str) -> Iterator[tuple[int, int]]:
    """[start, stop) characters of every place where an answer stands, from left to right; see :func:`find_normalised`.

    They may overlap.
    """
    return _found(document, answer, 0, backwards=False)


def _found(document: str, answer: str, origin: int, backwards: bool) -> Iterator[tuple[int, int]]:
    """Occurrences that start at a character or after it; or before it, from right to left."""
    wanted = unicodedata.normalize("NFC", answer)
    if not wanted:
        return
    text, places, origins = _composed(document)
    grapheme = int(np.searchsorted(origins, min(max(origin, 0), len(document))))
    start, size = int(places[grapheme]), len(wanted)
    at = text.rfind(wanted, 0, max(start - 1, 0) + size) if backwards else text.find(wanted, start)
    while at >= 0 and not (backwards and at >= start):
        first, last = np.searchsorted(places, [at, at + size])
        if places[first] == at and places[last] == at + size:
            yield int(origins[first]), int(origins[last])
        at = text.rfind(wanted, 0, at + size - 1) if backwards else text.find(wanted, at + 1)


@lru_cache(maxsize=2)  # the questions of one document come together
def _composed(document: str) -> _Composed:
    origins = np.append(np.flatnonzero(grapheme_starts(document)), len(document))
    if unicodedata.is_normalized("NFC", document):
        return _Composed(document, origins, origins)
    # nothing composes across graphemes
    bounds = origins.tolist()
    graphemes = [
        unicodedata.normalize("NFC", document[start:stop]) for start, stop in zip(bounds, bounds[1:], strict=False)
    ]
    places = np.cumsum([0, *map(len, graphemes)])
    return _Composed("".join(graphemes), places, origins)


def occurrences(document: str, texts: Iterable[str]) -> Iterator[tuple[int, int]]:
    """[start, stop) characters of every place where one of the texts stands as whole words, from left to right.

    Case and what stands between words do not count.

    Args:
        document: where to look.
        texts: what to look for; never read as patterns. A text without a word is nowhere, nor one above ``LONGEST``.
    """
    wanted = {tuple(_words(text)) for text in texts if len(text) <= LONGEST} - {()}
    by_first: dict[str, set[int]] = {}
    for words in wanted:
        by_first.setdefault(words[0], set()).add(len(words))
    if not by_first:
        return
    places = [match.span() for match in _WORD.finditer(document)]
    words_here = [_folded(document[start:stop]) for start, stop in places]
    for i, word in enumerate(words_here):
        for length in sorted(by_first.get(word, ())):
            if i + length <= len(places) and tuple(words_here[i : i + length]) in wanted:
                yield places[i][0], places[i + length - 1][1]


def _words(text: str) -> list[str]:
    return [_folded(match.group()) for match in _WORD.finditer(text)]


def _folded(word: str) -> str:
    """The same for all spellings of a word that differ in case or normalisation form alone."""
    if word.isascii():
        return word.casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", word).casefold())
