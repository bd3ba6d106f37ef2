"""Graphemes: what a reader takes for one character, in however many code points it is written."""

from __future__ import annotations

import numpy as np
import regex

# Unicode's extended grapheme clusters, with the few marks that they leave out; controls stay alone, CR LF as well
_GRAPHEME = r"\p{Cc}|\X\p{M}*"
_JOINING = r"\p{M}\p{RI}" + "".join(
    rf"\p{{GCB={c}}}" for c in ("Extend", "ZWJ", "SpacingMark", "Prepend", "L", "V", "T")
)
# stretches without any of these, which are most of most texts, at once
_GRAPHEMES = regex.compile(rf"[^{_JOINING}]+(?![{_JOINING}])|({_GRAPHEME})")
_NON_JOINER = 0x200C  # separates letters, as between a Persian noun and its plural: no part of the one before it


def grapheme_starts(text: str) -> np.ndarray:
    """Which characters of a text start a grapheme.

    A letter keeps its combining marks, a Hangul syllable its jamo, a half-width kana its voicing mark, an emoji what
    is joined to it.

    Returns:
        bool[n]
    """
    n = len(text)
    starts = np.ones(n, dtype=bool)
    if text.isascii():
        return starts
    spans = np.array([match.span(1) for match in _GRAPHEMES.finditer(text)], dtype=np.int64)
    spans = spans[spans[:, 1] - spans[:, 0] > 1]
    inside = np.bincount(spans[:, 0] + 1, minlength=n + 1) - np.bincount(spans[:, 1], minlength=n + 1)
    starts[inside.cumsum()[:n] > 0] = False
    starts[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32) == _NON_JOINER] = True
    return starts
