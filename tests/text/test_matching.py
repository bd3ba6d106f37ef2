"""Aliases and answers in documents."""

from __future__ import annotations

import itertools
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.text.graphemes import grapheme_starts
from fairseq_littlebird.text.matching import find_normalised, normalised_occurrences, occurrences

FORMS = ("NFC", "NFD")


def found(document, *texts):
    return [document[start:stop] for start, stop in occurrences(document, texts)]


def test_whole_words_whatever_the_case():
    assert found("York, new YORK; Yorkshire. york", "york") == ["York", "YORK", "york"]


def test_what_stands_between_words_does_not_count():
    assert found("the Chicago (Bears) won", "Chicago Bears!") == ["Chicago (Bears"]


def test_aliases_are_no_patterns():
    assert found("abc a.c C++ (x", "a.c", "C++", "(x", ".*", "[") == ["a.c", "c", "C", "x"]


def test_every_alias_at_a_place_is_told():
    assert found("Sir Henry James", "Henry", "Sir Henry", "Henry James") == ["Sir Henry", "Henry", "Henry James"]


def test_other_scripts():
    assert found("서울 특별시, ΟΔΟΣ και Straße", "οδος", "STRASSE", "서울") == ["서울", "ΟΔΟΣ", "Straße"]


def test_nothing_to_look_for():
    assert found("abc", "", "...") == []


def test_a_text_that_goes_on_past_the_end():
    assert found("b a", "a", "a.a") == ["a"]


@given(st.text("ab .,", max_size=30), st.lists(st.text("ab .", max_size=4), max_size=4))
def test_equals_looking_everywhere(document, texts):
    import re

    words = [m.span() for m in re.finditer(r"\w+", document)]
    wanted = {tuple(re.findall(r"\w+", text)) for text in texts} - {()}
    brute = {
        (words[i][0], words[j][1])
        for i in range(len(words))
        for j in range(i, len(words))
        if tuple(document[a:b] for a, b in words[i : j + 1]) in wanted
    }
    assert set(occurrences(document, texts)) == brute


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("other", FORMS)
def test_words_in_any_normalisation_form(form, other):
    document = unicodedata.normalize(form, "Un café à Łódź, 서울의 हिन्दी")
    for word in ("CAFÉ", "łódź", "서울의", "हिन्दी"):
        places = list(occurrences(document, [unicodedata.normalize(other, word)]))
        assert [unicodedata.normalize("NFC", document[a:b]).casefold() for a, b in places] == [word.casefold()]


def test_marks_are_parts_of_words():
    assert found("कि का cafe\u0301", "का", "cafe") == ["का"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("other", FORMS)
@pytest.mark.parametrize(
    "answer",
    ["한국", "각하", "\u1100\u1161", "Ångström", "ë\u0323", "किताब", "น้ำ", "لآ", "👩\u200d👩\u200d👧", "ガ", "x"],
)
def test_an_answer_is_found_in_any_normalisation_form(form, other, answer):
    before = unicodedata.normalize(form, "대한민국, 각 ỳ ")
    inside, wanted = unicodedata.normalize(form, answer), unicodedata.normalize(other, answer)
    assert find_normalised(f"{before}{inside}. {inside}", wanted) == (len(before), len(before) + len(inside))
    assert find_normalised(before, wanted) is None


def test_no_answer_is_cut_out_of_a_grapheme():
    decomposed = unicodedata.normalize("NFD", "각 é")
    for answer in ("가", "\u1100\u1161", "\u11a8", "e", "\u0301"):
        assert find_normalised(decomposed, answer) is None
        assert find_normalised("각 é", answer) is None
    assert find_normalised("👩\u200d👩\u200d👧", "👩") is None
    assert find_normalised("کتاب\u200cها", "کتاب") == (0, 4)  # a noun before its plural's ending


def test_the_nearest_of_several():
    document = unicodedata.normalize("NFD", "é é é")
    assert [find_normalised(document, "é", near) for near in (-5, 0, 2, 4, 5, 9)] == [
        *((0, 2), (0, 2), (3, 5), (3, 5), (6, 8), (6, 8))
    ]
    assert [*normalised_occurrences("ééé", "e\u0301e\u0301")] == [(0, 2), (1, 3)]
    assert find_normalised(document, "") is None


def brute_force(document: str, answer: str) -> list[tuple[int, int]]:
    bounds = [*np.flatnonzero(grapheme_starts(document)).tolist(), len(document)]
    wanted = unicodedata.normalize("NFC", answer)
    return [
        (a, b) for a, b in itertools.combinations(bounds, 2) if unicodedata.normalize("NFC", document[a:b]) == wanted
    ]


ALPHABET = "ae\u0301\u0327é각가\u1100\u1161\u11a8\u3131カガ\uff76\uff9e\u3099कि़\u200d\u200c👩 \n"


@given(st.text(ALPHABET, max_size=12), st.text(ALPHABET, max_size=4), st.integers(-2, 14))
def test_finding_equals_looking_at_all_graphemes(document, answer, near):
    spans = brute_force(document, answer)
    assert [*normalised_occurrences(document, answer)] == spans
    assert find_normalised(document, answer) == (spans[0] if spans else None)
    assert find_normalised(document, answer, near) == min(spans, key=lambda s: abs(s[0] - near), default=None)


@given(st.text(ALPHABET, min_size=1, max_size=12), st.data())
def test_a_part_of_a_document_is_found_in_it(document, data):
    bounds = [*np.flatnonzero(grapheme_starts(document)).tolist(), len(document)]
    start, stop = sorted(data.draw(st.sets(st.sampled_from(bounds), min_size=2, max_size=2)))
    for form in (*FORMS, None):
        answer = unicodedata.normalize(form, document[start:stop]) if form else document[start:stop]
        assert find_normalised(document, answer, near=start) == (start, stop)


def test_periodic_texts_take_no_quadratic_time():
    n = 200_000
    assert find_normalised("é" * n, "é" * (n // 2), near=n // 4) == (n // 4, 3 * n // 4)
    assert find_normalised("e" + "\u0301" * n, "\u0301") is None
