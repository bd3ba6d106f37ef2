"""HotpotQA scores.

The figures in vectors/hotpotqa.json and of the real records were printed by hotpot_evaluate_v1.py of hotpotqa/hotpot
(of 5 October 2018). The vectors' records are invented.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import hotpotqa

VECTORS = json.loads((Path(__file__).parent / "vectors" / "hotpotqa.json").read_text(encoding="utf-8"))
FACTS = frozenset({("Oslo", 0), ("Lima", 2)})


def record(identifier="q0", answer="red", facts=(("Oslo", 0), ("Lima", 2))):
    return {"_id": identifier, "answer": answer, "supporting_facts": [list(fact) for fact in facts]}


def means(answer, support, joint):
    names = ("em", "f1", "prec", "recall")
    groups = zip(("", "sp_", "joint_"), (answer, support, joint), strict=True)
    return {kind + name: value for kind, values in groups for name, value in zip(names, values, strict=True)}


@pytest.mark.parametrize("vector", VECTORS)
def test_equals_the_official_script(vector):
    scores = hotpotqa.evaluate(vector["gold"], vector["predictions"])
    assert list(scores.items()) == list(vector["scores"].items())


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("The red.", "red", (1, 1, 1, 1)),
        ("red blue", "red", (0, 2 / 3, 1 / 2, 1)),
        ("red", "red blue", (0, 2 / 3, 1, 1 / 2)),
        ("red red", "red blue blue", (0, 0.4, 1 / 2, 1 / 3)),
        ("yes", "Yes", (1, 1, 1, 1)),
        ("yes it is", "yes", (0, 0, 0, 0)),  # a word in common, but yes is no span
        ("no", "no smoking", (0, 0, 0, 0)),
        ("no answer", "noanswer", (0, 0, 0, 0)),
        ("noanswer", "noanswer here", (0, 0, 0, 0)),
        ("noanswer here", "noanswer at all", (0, 0.4, 1 / 2, 1 / 3)),
        ("a noanswer", "noanswer", (1, 1, 1, 1)),
        ("", "the", (1, 0, 0, 0)),  # nothing once normalized: the same, without a word in common
        ("", "red", (0, 0, 0, 0)),
        ("cafe\u0301", "caf\u00e9", (0, 0, 0, 0)),
        ("\u201cred\u201d", "red", (0, 0, 0, 0)),  # typographic quotes stay
    ],
)
def test_answer(prediction, gold, expected):
    assert hotpotqa.answer_scores(prediction, gold) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ([["Lima", 2], ["Oslo", 0]], FACTS, (1, 1, 1, 1)),
        ([["Lima", 2], ["Oslo", 0], ["Oslo", 0]], FACTS, (1, 1, 1, 1)),
        ([["Lima", 2], ["Lima", 1]], FACTS, (0, 1 / 2, 1 / 2, 1 / 2)),
        ([["Lima", 2]], FACTS, (0, 2 / 3, 1, 1 / 2)),
        ([["lima", 2]], FACTS, (0, 0, 0, 0)),
        ([], FACTS, (0, 0, 0, 0)),
        ([["Lima", 2]], frozenset(), (0, 0, 0, 0)),
        ([], frozenset(), (1, 0, 0, 0)),
    ],
)
def test_facts(prediction, gold, expected):
    assert hotpotqa.fact_scores(prediction, gold) == pytest.approx(expected, abs=1e-15)


@given(st.text(), st.text())
def test_answer_properties(prediction, gold):
    scores, turned = hotpotqa.answer_scores(prediction, gold), hotpotqa.answer_scores(gold, prediction)
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert (scores.em, scores.f1, scores.prec, scores.recall) == (turned.em, turned.f1, turned.recall, turned.prec)


def test_joint_scores_are_products_of_each_question():
    gold = [record("q0", "red blue"), record("q1", "no"), record("q2"), record("q3")]
    predictions = {
        "answer": {"q0": "red", "q1": "yes", "q2": "red", "other": "x"},
        "sp": {"q0": [["Oslo", 0], ["Oslo", 1]], "q1": [["Oslo", 0], ["Lima", 2]], "q3": [["Lima", 2]]},
    }
    # q0: precision 1 · 1/2, recall 1/2 · 1/2; q1: 0; q2 has no facts and q3 no answer, so nothing jointly
    assert hotpotqa.evaluate(gold, predictions) == means(
        (1 / 4, (2 / 3 + 0 + 1) / 4, (1 + 0 + 1) / 4, (1 / 2 + 0 + 1) / 4),
        (1 / 4, (1 / 2 + 1 + 2 / 3) / 4, (1 / 2 + 1 + 1) / 4, (1 / 2 + 1 + 1 / 2) / 4),
        (0, (2 * (1 / 8) / (3 / 4)) / 4, (1 / 2) / 4, (1 / 4) / 4),
    )


def test_a_file_without_any_facts_scores_its_answers():
    assert hotpotqa.evaluate([record()], {"answer": {"q0": "red"}, "sp": {}}) == means((1,) * 4, (0,) * 4, (0,) * 4)


def test_gold_as_prediction(data_dir):
    gold = json.loads((data_dir / "hotpotqa" / "distractor_100.json").read_text(encoding="utf-8"))
    predictions = {
        "answer": {question["_id"]: question["answer"] for question in gold},
        "sp": {question["_id"]: question["supporting_facts"] for question in gold},
    }
    assert hotpotqa.evaluate(gold, predictions) == means((1.0,) * 4, (1.0,) * 4, (1.0,) * 4)


def test_real_records_equal_the_official_script(data_dir, derived):
    gold = json.loads((data_dir / "hotpotqa" / "distractor_100.json").read_text(encoding="utf-8"))

    def context(question):
        return " ".join(sentence for _, sentences in question["context"] for sentence in sentences)

    def support(i, facts):
        more = facts + [["no such title", i]]
        turns = [facts, facts[:1], facts[::-1] + facts, more, [], facts[1:] + [["x", 0]]]
        return [*turns, [[title, sentence + 1] for title, sentence in facts]][i % 7]

    answers = derived((question["_id"], [question["answer"]], context(question)) for question in gold)
    facts = {question["_id"]: support(i // 2, question["supporting_facts"]) for i, question in enumerate(gold)}
    assert hotpotqa.evaluate(gold, {"answer": answers, "sp": facts}) == means(
        (0.3, 0.42990476190476196, 0.49, 0.41),
        (0.3, 0.578785714285714, 0.6241666666666664, 0.582),
        (0.08, 0.2576904761904762, 0.3266666666666667, 0.24258333333333332),
    )
    fewer = {
        "answer": {key: text for i, (key, text) in enumerate(answers.items()) if i % 5},
        "sp": {key: pairs for i, (key, pairs) in enumerate(facts.items()) if i % 6},
    }
    assert hotpotqa.evaluate(gold, fewer) == means(
        (0.25, 0.34785714285714286, 0.39333333333333337, 0.3316666666666667),
        (0.25, 0.48478571428571415, 0.5241666666666666, 0.48533333333333334),
        (0.04, 0.17608730158730165, 0.22333333333333333, 0.16541666666666668),
    )


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ([], "gold: no question"),
        ({"data": []}, "gold: expected one list of records"),
        (["x"], "gold: expected one list of records"),
        ([{"id": "q0"}], "gold, record 1: .*'_id'"),
        ([record(), record()], "gold, record 2, question q0: "),
        ([{"_id": "q0", "supporting_facts": []}], "gold, question q0: .*'answer'"),
        ([{"_id": "q0", "answer": "x"}], "gold, question q0: .*'supporting_facts'"),
        ([record(facts=[("Oslo", "0")])], "gold, question q0: .*'supporting_facts'"),
        ([record(facts=[("Oslo",)])], "gold, question q0: .*'supporting_facts'"),
    ],
)
def test_what_cannot_be_scored_is_said(gold, message):
    with pytest.raises(UserError, match=message):
        hotpotqa.evaluate(gold, {"answer": {}, "sp": {}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], ": .*'answer'"),
        ({"answer": {}}, ": .*'sp'"),
        ({"answer": {"q0": None}, "sp": {}}, ", answer, question q0: .*null"),
        ({"answer": {}, "sp": {"q0": 5}}, ", sp, question q0: .*5"),
        ({"answer": {}, "sp": {"q0": [1]}}, ", sp, question q0: "),
        ({"answer": {}, "sp": {"q0": [[["Oslo"], 0]]}}, ", sp, question q0: "),
    ],
)
def test_a_prediction_file_of_another_format(tmp_path, content, message):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as raised:
        hotpotqa.read_predictions(str(path))
    assert re.match(re.escape(str(path)) + message, str(raised.value))


@pytest.mark.parametrize(
    ("facts", "right"),
    [
        ([["Oslo", 0], "Lima", ["Lima", 2, 3]], 1),
        ([["Oslo", 0], ["Lima", "2"]], 1),
        ([["Oslo", False], ["Lima", 2.0]], 2),  # equal in Python, so equal there
        ([["Oslo"], []], 0),
        ("Oslo", 0),
    ],
)
def test_malformed_facts_are_scored_as_the_official_script_does(tmp_path, facts, right):
    """Its set of tuples: each that is no fact of the gold counts as a wrong one."""
    content = {"answer": {"q0": "red"}, "sp": {"q0": facts, "q1": [["Oslo", 0]]}}
    path = tmp_path / "p.json"
    path.write_text(json.dumps(content))
    predictions = hotpotqa.read_predictions(str(path))
    assert hotpotqa.malformed(predictions) == ["q0"]
    scores = hotpotqa.evaluate([record()], predictions)
    predicted = set(map(tuple, facts))
    assert scores["sp_prec"] == right / len(predicted) and scores["sp_recall"] == right / 2
