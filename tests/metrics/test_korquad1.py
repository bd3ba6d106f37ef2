"""KorQuAD 1.0 scores; the aggregate figures were printed by the official evaluate-v1.0.py."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import korquad1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("《봄날》", "봄날"),
        ("〈가〉<나>(다)", "가 나 다"),  # brackets part words
        ("\u2018가\u2019'나'\"다\"", "가 나 다"),  # so do quotes
        ("\u201c가\u201d", "\u201c가\u201d"),  # but not curly double ones
        ("가-나.다", "가나다"),  # other punctuation leaves no gap
        ("The  ABC", "the abc"),  # English articles stay
        (" \n", ""),
    ],
)
def test_normalize(text, expected):
    assert korquad1.normalize(text) == expected


@pytest.mark.parametrize(
    ("prediction", "gold", "exact", "f1"),
    [
        ("《서울》", "서울", 1.0, 1.0),
        ("서울은", "서울", 0.0, 0.8),  # 2 of 3 characters, 2 of 2
        ("서 울", "서울", 0.0, 1.0),  # spaces count for the match only
        ("울서", "서울", 0.0, 1.0),  # order does not count
        ("1,000명", "1000 명", 0.0, 1.0),
        ("부산", "서울", 0.0, 0.0),
        ("", "서울", 0.0, 0.0),
        ("", "", 1.0, 0.0),
    ],
)
def test_pair(prediction, gold, exact, f1):
    assert korquad1.exact_match(prediction, gold) == exact
    assert korquad1.f1(prediction, gold) == pytest.approx(f1, abs=1e-15)


@given(st.text(), st.text())
def test_pair_properties(prediction, gold):
    assert korquad1.f1(prediction, gold) == korquad1.f1(gold, prediction)
    assert 0.0 <= korquad1.f1(prediction, gold) <= 1.0
    if korquad1.normalize(prediction):
        assert korquad1.exact_match(prediction, prediction) == korquad1.f1(prediction, prediction) == 1.0


def test_equals_the_official_script(data_dir, derived):
    gold = json.loads((data_dir / "korquad1" / "KorQuAD_v1.0_dev.json").read_text(encoding="utf-8"))
    predictions = derived(
        (question["id"], [answer["text"] for answer in question["answers"]], paragraph["context"])
        for article in gold["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    )
    assert korquad1.evaluate(gold, predictions) == {
        "exact_match": 23.311395912712157,
        "f1": 61.47830588957846,
    }
    fewer = {key: text for i, (key, text) in enumerate(predictions.items()) if i % 5}
    assert korquad1.evaluate(gold, fewer) == {"exact_match": 18.600623484586077, "f1": 49.148632872555154}


def test_every_question_needs_an_answer():
    qas = [{"id": "q", "answers": [], "is_impossible": True}]
    with pytest.raises(UserError, match="gold, question q: no answer"):
        korquad1.evaluate({"version": "v2.0", "data": [{"paragraphs": [{"qas": qas}]}]}, {})
