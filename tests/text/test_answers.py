from __future__ import annotations

import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.text.answers import Place, locate, token_span
from fairseq_littlebird.text.example import Answer


@given(st.text(max_size=80), st.data())
def test_a_right_offset_is_kept(document, data):
    start = data.draw(st.integers(0, len(document)))
    stop = data.draw(st.integers(start, len(document)))
    expected = Place(start, stop) if document[start:stop].strip() else None
    assert locate(document, Answer(document[start:stop], start)) == expected


@given(st.text("ab ", max_size=60), st.text("ab", min_size=1, max_size=3), st.integers(-5, 70), st.data())
def test_a_wrong_offset_becomes_the_nearest_place_of_the_text(document, text, start, data):
    bounds = [data.draw(st.integers(0, len(document))) for _ in "lh"]
    within = (min(bounds), max(bounds))
    inside = [i for i in range(within[0], within[1] - len(text) + 1) if document.startswith(text, i)]
    found = locate(document, Answer(text, start, within))
    if start < 0 or not inside:
        assert found is None
    else:
        nearest = min(abs(i - start) for i in inside)
        assert found.start in inside and abs(found.start - start) == nearest
        assert document[found.start : found.stop] == text
        assert found.certain == (start in inside or len(inside) == 1)


def test_answers_are_found_in_another_normalisation_form():
    document = unicodedata.normalize("NFD", "서울은 수도이다. Mañana")
    for text in ("수도이다", "Mañana"):
        place = locate(document, Answer(text, 3))
        assert unicodedata.normalize("NFC", document[place.start : place.stop]) == text
    assert locate(document, Answer("수", 3)) is not None and locate(document, Answer("도", 3)) is not None
    assert locate(document, Answer("이다", 10**12)) is not None
    assert locate(document, Answer("Manana", 3)) is None


def test_spans_snap_to_the_tokens_that_cover_them():
    document = "unbelievable  things"
    offsets = np.array([(0, 2), (2, 7), (7, 12), (14, 20)])
    assert token_span(offsets, document, 2, 7) == (1, 1)
    assert token_span(offsets, document, 3, 8) == (1, 2)
    assert token_span(offsets, document, 0, 20) == (0, 3)
    assert token_span(offsets, document, 11, 14) == (2, 2)
    assert token_span(offsets, document, 12, 14) is None
    assert token_span(offsets, document, 5, 5) is None
    assert token_span(offsets[:0], document, 0, 5) is None


def test_tokens_of_one_character_are_taken_together():
    offsets = np.array([(0, 1), (1, 2), (1, 2), (1, 2), (2, 3)])
    assert token_span(offsets, "aéb", 1, 2) == (1, 3)
    assert token_span(offsets, "aéb", 0, 2) == (0, 3)
    assert token_span(offsets, "aéb", 0, 1) == (0, 0)
    # "ﬁne" as f, ine: the ligature alone, then the word
    ligature = np.array([(0, 1), (0, 3)])
    assert token_span(ligature, "ﬁne", 0, 1) == (0, 0)
    assert token_span(ligature, "ﬁne", 0, 3) == (0, 1)


@st.composite
def tokenized(draw):
    """A document, and tokens that never overlap and never hold outer white space."""
    document = draw(st.text("ab \n", min_size=1, max_size=40))
    cuts = sorted(draw(st.sets(st.integers(0, len(document)))) | {0, len(document)})
    pieces = [
        (a + len(p) - len(p.lstrip()), a + len(p.rstrip()))
        for a, p in ((a, document[a:b]) for a, b in zip(cuts, cuts[1:], strict=False))
        if p.strip()
    ]
    return document, np.array(pieces, dtype=np.int32).reshape(-1, 2)


@given(tokenized(), st.data())
def test_a_span_is_covered_by_the_fewest_tokens(case, data):
    document, offsets = case
    start = data.draw(st.integers(0, len(document)))
    stop = data.draw(st.integers(start, len(document)))
    characters = {i for i in range(start, stop) if not document[i].isspace()}
    touched = [k for k, (a, b) in enumerate(offsets) if characters & set(range(a, b))]
    expected = (touched[0], touched[-1]) if touched else None
    assert token_span(offsets, document, start, stop) == expected
