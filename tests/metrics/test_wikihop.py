"""WikiHop accuracy."""

from __future__ import annotations

import json

import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import wikihop


def record(identifier="q0", answer="oslo", candidates=("lima", "oslo")):
    return {"id": identifier, "query": "capital x", "answer": answer, "candidates": list(candidates)}


def test_counts_exact_candidates():
    gold = [record("q0"), record("q1", "lima"), record("q2"), record("q3"), record("q4", "caf\u00e9", ["caf\u00e9"])]
    # right; another candidate; another case; missing; a combining mark
    predictions = {"q0": "oslo", "q1": "oslo", "q2": "Oslo", "q4": "cafe\u0301", "other": "oslo"}
    assert wikihop.evaluate(gold, predictions) == {"accuracy": 20.0}
    assert wikihop.evaluate(gold, {}) == {"accuracy": 0.0}


def test_masked_candidates():
    gold = [record("q0", "___MASK3___", ["___MASK3___", "___MASK14___"])]
    assert wikihop.evaluate(gold, {"q0": "___MASK3___"}) == {"accuracy": 100.0}


def test_gold_as_prediction(data_dir):
    gold = json.loads((data_dir / "wikihop" / "sample.json").read_text(encoding="utf-8"))
    right = {question["id"]: question["answer"] for question in gold}
    assert wikihop.evaluate(gold, right) == {"accuracy": 100.0}
    first = {question["id"]: question["candidates"][0] for question in gold}
    assert wikihop.evaluate(gold, first) == {"accuracy": 50.0}  # one of the two is answered by its first candidate


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ([], "gold: no question"),
        ({"data": []}, "gold: expected one list of records"),
        ([1], "gold: expected one list of records"),
        ([{"_id": "q0"}], "gold, record 1: .*'id'"),
        ([record(), record()], "gold, record 2, question q0: "),
        ([{"id": "q0", "candidates": ["x"]}], "gold, question q0: .*'answer'"),
        ([{"id": "q0", "answer": "x"}], "gold, question q0: .*candidates"),
        ([record(answer="quito")], "gold, question q0: .*candidates"),
    ],
)
def test_what_cannot_be_scored_is_said(gold, message):
    with pytest.raises(UserError, match=message):
        wikihop.evaluate(gold, {})
