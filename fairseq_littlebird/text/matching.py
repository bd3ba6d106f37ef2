"""Where a text occurs in another, word by word: case and what stands between words do not count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

LONGEST = 2_000
"""Characters; a longer text is nowhere. No model answers so much, and the work grows with the length."""

_WORD = re.compile(r"\w+")


def occurrences(document: str, texts: Iterable[str]) -> Iterator[tuple[int, int]]:
    """[start, stop) characters of every place where one of the texts stands as whole words, from left to right.

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
    words_here = [document[start:stop].casefold() for start, stop in places]
    for i, word in enumerate(words_here):
        for length in sorted(by_first.get(word, ())):
            if i + length <= len(places) and tuple(words_here[i : i + length]) in wanted:
                yield places[i][0], places[i + length - 1][1]


def _words(text: str) -> list[str]:
    return [match.group().casefold() for match in _WORD.finditer(text)]
