"""The prediction files, read back."""

from __future__ import annotations

import json

import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.merging import Candidate, Prediction
from fairseq_littlebird.inference.prediction_files import write_predictions

PREDICTIONS = [
    Prediction("a", (Candidate("한국\u2028", 3, 6, 0.5, 1), Candidate("x", 0, 1, 0.1, 0)), -1.5),
    Prediction("b", (), 1e9),
    Prediction("c", (Candidate("y", 2, 3, 0.2, 0),), 0.7),
]


def read(folder):
    names = ("predictions", "nbest_predictions", "null_odds")
    return tuple(json.loads((folder / f"{name}.json").read_text("utf-8")) for name in names)


def test_three_files_with_the_documents_characters(tmp_path):
    write_predictions(tmp_path / "out", PREDICTIONS)
    texts, best, odds = read(tmp_path / "out")
    assert texts == {"a": "한국\u2028", "b": "", "c": "y"}
    assert best["a"][0] == {"text": "한국\u2028", "start": 3, "end": 6, "probability": 0.5, "window": 1}
    assert [len(best[i]) for i in "abc"] == [2, 0, 1]
    assert odds == {"a": -1.5, "b": 1e9, "c": 0.7}


def test_the_threshold_empties_what_is_above_it(tmp_path):
    write_predictions(tmp_path / "out", PREDICTIONS, null_threshold=0.5)
    assert read(tmp_path / "out")[0] == {"a": "한국\u2028", "b": "", "c": ""}


def test_nothing_is_replaced_unasked(tmp_path):
    write_predictions(tmp_path / "out", PREDICTIONS)
    with pytest.raises(UserError, match="not empty"):
        write_predictions(tmp_path / "out", PREDICTIONS[:1])
    assert len(read(tmp_path / "out")[0]) == 3
    write_predictions(tmp_path / "out", PREDICTIONS[:1], overwrite=True)
    assert len(read(tmp_path / "out")[0]) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_hotpotqa_has_answers_and_supporting_facts(tmp_path):
    names = ('["A", 0]', '["Ö", 3]', '["A", 1]')
    found = (Candidate("text", 0, 4, 0.9, 0),)
    write_predictions(
        tmp_path / "out",
        [
            Prediction("a", found, -1.0, (0.9, 0.6, 0.4), "span", names),
            Prediction("b", found, -1.0, (0.1, 0.2, 0.3), "yes", names),
        ],
        dataset="hotpotqa",
    )
    assert json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8")) == {
        "answer": {"a": "text", "b": "yes"},
        "sp": {"a": [["A", 0], ["Ö", 3]], "b": []},
    }


def test_wikihop_has_candidates(tmp_path):
    found = (Candidate("elsewhere", 0, 4, 0.9, 0),)
    write_predictions(tmp_path / "out", [Prediction("a", found, 0.0, (0.1, 0.3), "", ("x", "y"))], dataset="wikihop")
    assert json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8")) == {"a": "y"}


def test_natural_questions_have_long_and_short_answers_in_tokens(tmp_path):
    document = "<P> Owls eat mice . </P> <P> And voles . </P>"
    short = (Candidate("mice", 13, 17, 0.4, 0), Candidate("eat", 9, 12, 0.2, 0))
    names = ("[0, 6]", "[6, 11]")
    write_predictions(
        tmp_path / "out",
        [
            Prediction("-7", short, -1.0, (0.2, 0.7), "short", names, 0.9, document),
            Prediction("8", short, -1.0, (0.2, 0.1), "yes", names, 0.8, document),
            Prediction("nine", (), 0.0, (), "", ()),
        ],
        dataset="natural_questions",
    )

    def span(first, end):
        return {"start_token": first, "end_token": end, "start_byte": -1, "end_byte": -1}

    keys = (
        "example_id",
        "long_answer",
        "long_answer_score",
        "short_answers",
        "short_answers_score",
        "yes_no_answer",
    )
    wanted = [
        (-7, span(6, 11), 0.7, [span(3, 4)], 0.4, "NONE"),
        (8, span(0, 6), 0.2, [], 0.8, "YES"),
        ("nine", span(-1, -1), 0.0, [], 0.0, "NONE"),
    ]
    found = json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))
    assert found == {"predictions": [dict(zip(keys, row, strict=True)) for row in wanted]}


@pytest.mark.parametrize("dataset", ["squad", "hotpotqa", "wikihop", "natural_questions"])
def test_no_predictions_are_empty_files(tmp_path, dataset):
    assert write_predictions(tmp_path / "out", iter([]), dataset=dataset) == 0
    assert not any(read(tmp_path / "out")[1:])
