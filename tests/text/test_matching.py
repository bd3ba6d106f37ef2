"""Aliases in documents."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.text.matching import occurrences


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
