"""SQuAD scores.

The aggregate figures were printed by the official scripts (evaluate-v1.1.py; evaluate-v2.0.py of
rajpurkar/SQuAD-explorer, with and without --na-prob-file) for the predictions that conftest derives.
"""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import squad


def questions(gold):
    for article in gold["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                yield question["id"], [answer["text"] for answer in question["answers"]], paragraph["context"]


def squad_file(*answer_lists, version="1.1", marked=False):
    """A gold file with questions q0, q1, ... of these answers."""
    qas = [
        {"id": f"q{i}", "question": "?", "answers": [{"text": text, "answer_start": 0} for text in texts]}
        for i, texts in enumerate(answer_lists)
    ]
    for question in qas:
        if marked:
            question["is_impossible"] = not question["answers"]
    return {"version": version, "data": [{"title": "t", "paragraphs": [{"context": "c", "qas": qas}]}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Cat", "cat"),
        ("a cat, an ant & the end.", "cat ant end"),
        ("  two \t\n spaces ", "two spaces"),
        ("the", ""),
        ("...", ""),
        ("The-end", "theend"),  # punctuation goes first, so the article is no word any more
        ("the\u2013end", "\u2013end"),  # a dash beyond ASCII stays, and parts words
        ("1,000 U.S. dollars", "1000 us dollars"),
        ("\u201cQuoted\u201d", "\u201cquoted\u201d"),
        ("no\u00a0break\u3000space", "no break space"),
        ("caf\u00c9", "caf\u00e9"),
        ("A\u0301 la", "\u0301 la"),  # a combining mark ends a word, so here is an article
        ("ΟΔΟΣ", "οδος"),
        ("ΟΔΟΣ-Α", "οδοςα"),  # lower case comes before the hyphen goes
        ("서울 A", "서울"),
    ],
)
def test_normalize(text, expected):
    assert squad.normalize(text) == expected


@pytest.mark.parametrize(
    ("prediction", "gold", "exact", "f1"),
    [
        ("The Norman conquest.", "norman conquest", 1.0, 1.0),
        ("Normans", "the Norman", 0.0, 0.0),
        ("in the 10th century", "10th and 11th centuries", 0.0, 2 / 7),  # 1 of 3 words, 1 of 4 words
        ("of of of", "of of", 0.0, 0.8),  # words count as often as they come
        ("", "", 1.0, 1.0),
        ("the", "", 1.0, 1.0),
        ("", "word", 0.0, 0.0),
        ("word", "", 0.0, 0.0),
        ("서울 시", "서울", 0.0, 2 / 3),
    ],
)
def test_pair(prediction, gold, exact, f1):
    assert squad.exact_match(prediction, gold) == exact
    assert squad.f1(prediction, gold) == pytest.approx(f1, abs=1e-15)


@given(st.text(), st.text())
def test_pair_properties(prediction, gold):
    assert squad.f1(prediction, gold) == squad.f1(gold, prediction)
    assert 0.0 <= squad.f1(prediction, gold) <= 1.0
    assert squad.exact_match(prediction, prediction) == squad.f1(prediction, prediction) == 1.0
    if squad.exact_match(prediction, gold):
        assert squad.f1(prediction, gold) == 1.0


def test_version_1_takes_the_best_answer_and_counts_missing_ones():
    gold = squad_file(["red", "a blue sky"], ["one two"], ["three"], ["four"])
    predictions = {"q0": "Blue Sky!", "q1": "two", "q2": "no", "other": "x"}
    # exact: 1 of 4; F1: 1 + 2/3 + 0 + 0
    assert squad.evaluate(gold, predictions) == {"exact_match": 25.0, "f1": 100 * (1 + 2 / 3) / 4}


def test_version_1_gives_nothing_for_two_empty_texts():
    """The versions part here: without a common word 1.1 scores F1 0, although the texts match exactly."""
    assert squad.evaluate(squad_file(["The"]), {"q0": "a"}) == {"exact_match": 100.0, "f1": 0.0}


@pytest.mark.parametrize(
    ("name", "figures", "without_every_fifth"),
    [
        (
            "squad/train_xquad_en.json",
            {"exact_match": 34.48687350835322, "f1": 47.71839995490493},
            {"exact_match": 27.9236276849642, "f1": 38.31473149395725},
        ),
        (
            "policyqa/dev.json",
            {"exact_match": 34.70727224993436, "f1": 53.901822306976044},
            {"exact_match": 27.85508007351011, "f1": 43.19369575312409},
        ),
    ],
)
def test_version_1_equals_the_official_script(data_dir, derived, name, figures, without_every_fifth):
    gold = json.loads((data_dir / name).read_text(encoding="utf-8"))
    predictions = derived(questions(gold))
    assert squad.evaluate(gold, predictions) == figures
    fewer = {key: text for i, (key, text) in enumerate(predictions.items()) if i % 5}
    assert squad.evaluate(gold, fewer) == without_every_fifth


VERSION_2_FIGURES = {
    "dev": [
        ("exact", 55.744680851063826),
        ("f1", 59.52988855116514),
        ("total", 470),
        ("HasAns_exact", 37.5),
        ("HasAns_f1", 46.05311355311355),
        ("HasAns_total", 208),
        ("NoAns_exact", 70.22900763358778),
        ("NoAns_f1", 70.22900763358778),
        ("NoAns_total", 262),
    ],
    "train": [
        ("exact", 54.73060067027584),
        ("f1", 60.49983753891978),
        ("total", 3879),
        ("HasAns_exact", 35.797665369649806),
        ("HasAns_f1", 48.237281719549536),
        ("HasAns_total", 1799),
        ("NoAns_exact", 71.10576923076923),
        ("NoAns_f1", 71.10576923076923),
        ("NoAns_total", 2080),
    ],
}
NULL_ODDS_FIGURES = {
    "dev": [
        ("exact", 62.340425531914896),
        ("f1", 64.55673758865248),
        ("total", 470),
        ("HasAns_exact", 22.115384615384617),
        ("HasAns_f1", 27.123397435897438),
        ("HasAns_total", 208),
        ("NoAns_exact", 94.27480916030534),
        ("NoAns_f1", 94.27480916030534),
        ("NoAns_total", 262),
        ("best_exact", 62.97872340425532),
        ("best_exact_thresh", -0.8),
        ("best_f1", 64.57801418439715),
        ("best_f1_thresh", -0.8),
    ],
    "train": [
        ("exact", 60.68574374838876),
        ("f1", 63.86602743981432),
        ("total", 3879),
        ("HasAns_exact", 21.90105614230128),
        ("HasAns_f1", 28.758377120088724),
        ("HasAns_total", 1799),
        ("NoAns_exact", 94.23076923076923),
        ("NoAns_f1", 94.23076923076923),
        ("NoAns_total", 2080),
        ("best_exact", 60.324825986078885),
        ("best_exact_thresh", -1.0),
        ("best_f1", 62.75372963764784),
        ("best_f1_thresh", 0.1),
    ],
}


def assert_same(scores, figures):
    """Same keys in the same order, same digits."""
    assert list(scores) == [key for key, _ in figures]
    expected = dict(figures)
    if sys.version_info >= (3, 12):  # there sum() rounds otherwise, in the official script too
        expected = pytest.approx(expected, rel=1e-13)
    assert scores == expected


@pytest.mark.parametrize("name", ["dev", "train"])
def test_version_2_equals_the_official_script(data_dir, derived, name):
    gold = json.loads((data_dir / "squad" / f"{name}.json").read_text(encoding="utf-8"))
    asked = list(questions(gold))
    predictions = derived(asked)
    assert_same(squad.evaluate(gold, predictions), VERSION_2_FIGURES[name])
    null_odds = {key: (37 * i % 101 - 50) / 10 + (0 if answers else 4) for i, (key, answers, _) in enumerate(asked)}
    assert_same(squad.evaluate(gold, predictions, null_odds), NULL_ODDS_FIGURES[name])


def test_version_2_by_hand():
    gold = squad_file(["red"], ["one two"], [], [], marked=True)
    predictions = {"q0": "the red", "q1": "two", "q2": "", "q3": "a word"}
    assert squad.evaluate(gold, predictions) == {
        "exact": 50.0,
        "f1": 100 * (1 + 2 / 3 + 1) / 4,
        "total": 4,
        "HasAns_exact": 50.0,
        "HasAns_f1": 100 * (1 + 2 / 3) / 2,
        "HasAns_total": 2,
        "NoAns_exact": 50.0,
        "NoAns_f1": 50.0,
        "NoAns_total": 2,
    }
    # From the surest answer on: q0 right (3), q1 no exact match (3) but F1 2/3, q3 answered in vain (-1).
    null_odds = {"q3": 0.5, "q2": 9.0, "q1": 0.25, "q0": -3.0, "other": -9.0}
    scores = squad.evaluate(gold, predictions, null_odds, threshold=0.3)
    assert (scores["best_exact"], scores["best_exact_thresh"]) == (75.0, -3.0)
    assert (scores["best_f1"], scores["best_f1_thresh"]) == (100 * (3 + 2 / 3) / 4, 0.25)
    assert scores["NoAns_exact"] == 100.0  # q3's odds exceed the threshold
    assert squad.evaluate(gold, predictions, null_odds, threshold=0.5)["NoAns_exact"] == 50.0  # not exceeded


def test_version_2_ignores_answers_that_normalize_to_nothing():
    gold = squad_file(["the", "red"], ["..."], marked=True)
    scores = squad.evaluate(gold, {"q0": "an", "q1": ""})
    assert (scores["exact"], scores["f1"], scores["HasAns_total"]) == (50.0, 50.0, 2)
    assert "NoAns_total" not in scores


@pytest.mark.parametrize(
    ("gold", "keys"),
    [
        (squad_file(["x"]), 2),
        (squad_file(["x"], version="v1.0"), 2),
        (squad_file(["x"], version="v2.0"), 6),
        (squad_file(["x"], version="1.1", marked=True), 6),
    ],
)
def test_version_follows_from_the_file(gold, keys):
    assert len(squad.evaluate(gold, {"q0": "x"})) == keys


@pytest.mark.parametrize(
    ("gold", "predictions", "null_odds", "message"),
    [
        ([], {}, None, "gold: .*'data'"),
        ({"data": [{"title": "x"}]}, {}, None, "gold, article 1: .*'paragraphs'"),
        ({"data": []}, {}, None, "gold: no question"),
        (
            {"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "q0", "question": "?"}]}]}]},
            {},
            None,
            "gold, question q0: ",
        ),
        (squad_file([]), {}, None, "gold, question q0: "),
        (squad_file(["x"]), {"q0": "x"}, {"q0": 1.0}, "null odds"),
        (
            squad_file(["x"], [], marked=True),
            {"q0": "x"},
            None,
            "1 of 2 .*q1",
        ),
        (squad_file([], marked=True), {"q0": "x"}, {}, "null odds .*1 of 1 .*q0"),
    ],
)
def test_what_cannot_be_scored_is_said(gold, predictions, null_odds, message):
    with pytest.raises(UserError, match=message):
        squad.evaluate(gold, predictions, null_odds)


def test_an_id_must_not_come_twice():
    gold = squad_file(["x"])
    gold["data"] += gold["data"]
    with pytest.raises(UserError, match="article 2, paragraph 1, question q0: "):
        squad.evaluate(gold, {})
