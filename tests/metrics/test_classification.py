"""Classification scores; the figures in vectors/classification.json are scikit-learn 1.9.1's, of invented labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import classification

VECTORS = json.loads((Path(__file__).parent / "vectors" / "classification.json").read_text("utf-8"))


@pytest.mark.parametrize("case", VECTORS)
def test_equals_scikit_learn(case):
    scores = classification.evaluate(case["gold"], case["predictions"])
    assert [name for name in scores if name in case["figures"]] == list(case["figures"])
    assert scores.keys() - case["figures"].keys() <= {"mcc", "f1", "sensitivity", "specificity"}
    assert {name: scores[name] for name in case["figures"]} == pytest.approx(case["figures"], abs=1e-14)


def test_single_label_by_hand():
    gold = {"a": "x", "b": "x", "c": "y", "d": "z"}
    # x: 1 hit of 2 true and 1 predicted; y: 1 hit of 1 and 2; z: missing; "other" is ignored
    assert classification.evaluate(gold, {"a": "x", "b": "y", "c": "y", "other": "x"}) == {
        "accuracy": 0.5,
        "micro_f1": 4 / 7,
        "macro_f1": pytest.approx((2 / 3 + 2 / 3 + 0) / 3),
        # truths 2 1 1, guesses 1 2 0 and one missing, 2 hits of 4
        "mcc": pytest.approx((2 * 4 - (2 * 1 + 1 * 2)) / ((16 - 6) * (16 - 6)) ** 0.5),
    }


def test_multi_label_by_hand():
    gold = {"a": ["x", "y"], "b": [], "c": ["y"]}
    assert classification.evaluate(gold, {"a": ["y", "x"], "b": ["x"], "c": []}) == {
        "accuracy": 1 / 3,
        "micro_f1": 4 / 6,
        "macro_f1": pytest.approx((2 / 3 + 2 / 3) / 2),
    }


def test_scores_choose_the_labels():
    single = {"a": {"0": 0.5, "1": 0.5}, "b": {"1": 0.9, "0": 0.1}}
    assert classification.evaluate({"a": 0, "b": 1}, single)["accuracy"] == 1.0  # numbers are labels as well
    several = {"a": {"x": 0.5, "y": 0.4}, "b": {"x": 0.3, "y": 0.2}}
    gold = {"a": ["x"], "b": []}
    assert classification.evaluate(gold, several)["accuracy"] == 1.0
    assert classification.evaluate(gold, several, threshold=0.4)["accuracy"] == 0.5


def test_auroc_is_left_out_where_it_is_not_defined():
    gold = {"a": "x", "b": "x"}
    scores = {"a": {"x": 0.5, "y": 0.5}, "b": {"x": 0.6, "y": 0.4}}
    assert list(classification.evaluate(gold, scores)) == [
        "accuracy",
        "micro_f1",
        "macro_f1",
        "mcc",
        "f1",
        "sensitivity",
        "specificity",
        "micro_auroc",
    ]
    gold["b"] = "y"
    assert classification.evaluate(gold, scores)["macro_auroc"] == 0.0
    del scores["b"]  # an example without scores cannot be ranked
    assert list(classification.evaluate(gold, scores)) == [
        "accuracy",
        "micro_f1",
        "macro_f1",
        "mcc",
        "f1",
        *classification.RATES,
    ]


@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), st.booleans()), max_size=30))
def test_auroc_counts_pairs(pairs):
    ups = [score for score, positive in pairs if positive]
    downs = [score for score, positive in pairs if not positive]
    if not ups or not downs:
        assert classification.auroc(pairs) is None
    else:
        wins = sum((up > down) + (up == down) / 2 for up in ups for down in downs)
        assert classification.auroc(pairs) == wins / (len(ups) * len(downs))


@pytest.mark.parametrize(
    ("gold", "predictions", "message"),
    [
        ({}, {}, "gold: no example"),
        ([], {}, "gold: no example"),
        ({"a": "x", "b": ["x"]}, {}, "gold, example b: "),
        ({"a": None}, {}, "gold, example a: .*null"),
        ({"a": ["x", {}]}, {}, "gold, example a: .*{}"),
        ({"a": "x"}, {"a": ["x"]}, 'example a: .*."x".'),
        ({"a": ["x"]}, {"a": "x"}, 'example a: .*"x"'),
        ({"a": "x"}, {"a": None}, "example a: .*null"),
        ({"a": "x", "b": "x"}, {"a": {"x": 1}, "b": "x"}, 'example b: .*"x"'),
        ({"a": "x"}, {"a": {"x": True}}, "example a: .*'x' .*true"),
        ({"a": "x"}, {"a": {"x": float("nan")}}, "example a: .*'x' .*NaN"),
        ({"a": "x"}, {"a": {"y": 1.0}}, "example a: .*'x'"),
        ({"a": "x", "b": "x"}, {"a": {"x": 1}, "b": {"x": 1, "y": 0}}, "example b: .*'y'"),
    ],
)
def test_what_cannot_be_scored_is_said(gold, predictions, message):
    with pytest.raises(UserError, match=message):
        classification.evaluate(gold, predictions)


def test_prediction_files_hold_one_object(tmp_path):
    path = tmp_path / "p.json"
    path.write_text('{"a": ["x"]}', "utf-8")
    assert classification.read_predictions(str(path)) == {"a": ["x"]}
    path.write_text("[]", "utf-8")
    with pytest.raises(UserError, match="p.json: "):
        classification.read_predictions(str(path))


def test_what_littlebird_predict_writes():
    """Labels and probabilities: the labels as they are, whatever the threshold was."""
    gold = {"a": ["x"], "b": ["y"], "c": []}
    scores = {"a": {"x": 0.9, "y": 0.3}, "b": {"x": 0.2, "y": 0.4}, "c": {"x": 0.1, "y": 0.2}}
    chosen = {"a": ["x"], "b": ["y"], "c": []}
    records = {key: {"labels": chosen[key], "probabilities": scores[key]} for key in gold}
    assert classification.evaluate(gold, records)["accuracy"] == 1.0
    assert classification.evaluate(gold, scores)["accuracy"] == pytest.approx(2 / 3)
    areas = [classification.evaluate(gold, given)["macro_auroc"] for given in (records, scores)]
    assert areas == [1.0, 1.0]
    single = {"a": "x", "b": "y"}
    one = {key: {"label": "y", "probabilities": scores[key]} for key in single}
    assert classification.evaluate(single, one)["accuracy"] == 0.5
    # labels that are called so
    named = {"a": {"label": 0.1, "probabilities": 0.9}, "b": {"label": 0.8, "probabilities": 0.1}}
    assert classification.evaluate({"a": "probabilities", "b": "label"}, named)["accuracy"] == 1.0
    with pytest.raises(UserError, match="example a.*one label"):
        classification.evaluate({"a": "x"}, {"a": {"label": ["x"], "probabilities": scores["a"]}})
