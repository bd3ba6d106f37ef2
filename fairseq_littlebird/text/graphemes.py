"""Graphemes: what a reader takes for one character, in however many code points it is written."""

from __future__ import annotations

import numpy as np
import regex

# Unicode's extended grapheme clusters, with the few marks that they leave out; controls stay alone, CR LF as well
_GRAPHEME = regex.compile(r"\p{Cc}|\X\p{M}*")
_NON_JOINER = 0x200C  # separates letters, as between a Persian noun and its plural: no part of the one before it


def grapheme_starts(text: str) -> np.ndarray:
    """Which characters of a text start a grapheme.

    A letter keeps its combining marks, a Hangul syllable its jamo, a half-width kana its voicing mark, an emoji what
    is joined to it.

    Returns:
        bool[n]
    """
    if text.isascii():
        return np.ones(len(text), dtype=bool)
    starts = np.zeros(len(text), dtype=bool)
    starts[[match.start() for match in _GRAPHEME.finditer(text)]] = True
    starts[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32) == _NON_JOINER] = True
    return starts
