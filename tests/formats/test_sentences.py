"""Where sentences end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.formats.sentences import sentence_spans, split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ('He said "no." Then (3 days later) he left.', ['He said "no."', "Then (3 days later) he left."]),
        ("See Fig. 3 and Smith et al. 2001, e.g. J. Smith. Done.",
         ["See Fig. 3 and Smith et al. 2001, e.g. J. Smith.", "Done."]),
        ("Lines\nend sentences. And v1.2 does not", ["Lines", "end sentences.", "And v1.2 does not"]),
        ("no capitals here. so any letter begins one.", ["no capitals here.", "so any letter begins one."]),
        ("Capitals here. so this is one", ["Capitals here. so this is one"]),
        (" \n ", []),
    ],
)  # fmt: skip
def test_sentences(text, sentences):
    assert [text[start:stop] for start, stop in sentence_spans(text)] == sentences


@given(st.text("ab. !?\nA(\"'"))
def test_spans_are_in_order_and_hold_all_but_white_space(text):
    spans = sentence_spans(text)
    places = [place for span in spans for place in range(*span)]
    assert places == sorted(set(places))
    assert all(text[place].isspace() for place in set(range(len(text))) - set(places))
    assert all(text[start:stop] == text[start:stop].strip() != "" for start, stop in spans)
    assert "".join(split_sentences(text).split()) == "".join(text.split())
