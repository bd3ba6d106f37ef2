"""Where graphemes start."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.text.graphemes import grapheme_starts


def graphemes(text: str) -> list[str]:
    bounds = [*np.flatnonzero(grapheme_starts(text)).tolist(), len(text)]
    return [text[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


@pytest.mark.parametrize(
    "parts",
    [
        ["a", "e\u0301\u0327", "b"],
        ["\u1112\u1161\u11ab", "\u1100\u116e\u11a8", "가\u11a8", "각", "나"],
        ["ﾊ\uff9e", "ｶ\uff9e", "ｱ"],
        ["कि", "ता\u093c", "ब"],
        ["น้ำ", "ก"],
        ["👩\u200d👩\u200d👧", "🇰🇷", "🇺🇸", "❤\ufe0f", "👍🏽", "🏴\U000e0067\U000e007f", "1\ufe0f\u20e3"],
        ["ب", "\u200c", "ه\u064e\u0651"],  # a non-joiner belongs to neither side
        ["က\u102b\u1038", "\r", "\n", "\u0301", " "],
    ],
)
def test_graphemes_of_many_scripts(parts):
    assert graphemes("".join(parts)) == parts


JOINING = "a각가\u1112\u1161\u11a8e\u0301\u0903क\u094d\u200d🇰👩❤\ufe0f🏽\u0600 \n\r\uff9e\u0e33"


@given(st.one_of(st.text(JOINING, max_size=12), st.text(max_size=8)))
def test_as_unicode_s_algorithm_has_them(text):
    starts = {m.start() for m in regex.finditer(r"\p{Cc}|\X\p{M}*", text)}
    assert {*np.flatnonzero(grapheme_starts(text))} - {i for i, c in enumerate(text) if c == "\u200c"} == {
        i for i in starts if text[i] != "\u200c"
    }


def test_nothing_composes_across_graphemes():
    composed = [c for c in map(chr, range(0x30000)) if not unicodedata.is_normalized("NFD", c)]
    assert len(composed) > 12_000
    assert all(len(graphemes(unicodedata.normalize("NFD", c))) == 1 for c in composed)
