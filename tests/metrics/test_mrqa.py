"""MRQA scores; the aggregate figures were printed by the shared task's mrqa_official_eval.py."""

from __future__ import annotations

import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import mrqa
from fairseq_littlebird.metrics.json_files import read_json_lines


def test_equals_the_official_script(data_dir, derived):
    gold = read_json_lines(str(data_dir / "mrqa" / "NewsQA_sample.jsonl"))
    predictions = derived(
        (question["qid"], question["answers"], record["context"]) for record in gold for question in record["qas"]
    )
    figures = {"exact_match": 35.294117647058826, "f1": 47.540106951871664}
    assert mrqa.evaluate(gold, predictions) == figures
    assert mrqa.evaluate([{"header": {"dataset": "NewsQA"}}, *gold], predictions) == figures


def test_takes_the_best_answer_and_counts_missing_ones():
    gold = [
        {"qas": [{"qid": "q0", "answers": ["red", "a blue sky"]}, {"qid": "q1", "answers": ["one two"]}]},
        {"qas": [{"qid": "q2", "answers": ["three"]}, {"qid": "q3", "answers": ["the"]}]},
    ]
    predictions = {"q0": "Blue Sky!", "q1": "two", "q3": "a", "other": "x"}
    # exact: q0 and q3 (both empty once normalized); F1: 1 + 2/3 + 0 + 0
    assert mrqa.evaluate(gold, predictions) == {"exact_match": 50.0, "f1": 100 * (1 + 2 / 3) / 4}


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ([], "gold: no question"),
        ([{"data": []}], "gold, record 1: .*'qas'"),
        ([{"qas": []}, {"header": {}}], "gold, record 2: .*'qas'"),
        ([{"qas": [{"_id": "q", "answers": ["x"]}]}], "gold, record 1: .*'id'"),
        ([{"qas": [{"qid": "q", "answers": []}]}], "gold, question q: .*answer"),
        ([{"qas": [{"qid": "q", "answers": [{"text": "x"}]}]}], "gold, question q: .*answer"),
        ([{"qas": [{"qid": "q", "answers": ["x"]}]}] * 2, "gold, record 2, question q: "),
    ],
)
def test_what_cannot_be_scored_is_said(gold, message):
    with pytest.raises(UserError, match=message):
        mrqa.evaluate(gold, {})
