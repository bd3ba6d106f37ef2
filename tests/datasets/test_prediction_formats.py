"""The data sets' own prediction files, read back."""

from __future__ import annotations

import json

import pytest

from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.inference.merging import Candidate, Prediction
from fairseq_littlebird.inference.prediction_files import write_predictions

FILES = {
    name: {"final_answer": spec.final_answer, "prediction_format": spec.prediction_format}
    for name, spec in DATASETS.items()
}


def test_hotpotqa_has_answers_and_supporting_facts(tmp_path):
    names = ('["A", 0]', '["Ö", 3]', '["A", 1]')
    found = (Candidate("text", 0, 4, 0.9, 0),)
    write_predictions(
        tmp_path / "out",
        [
            Prediction("a", found, -1.0, (0.9, 0.6, 0.4), "span", names),
            Prediction("b", found, -1.0, (0.3, 0.1, 0.2), "yes", names),
            Prediction("all", found, -1.0, (0.9, 0.7, 0.6), "yes", names),
            Prediction("one in a window", found, -1.0, (0.0, 0.0, 0.2), "yes", names),
            Prediction("no sentence", found, -1.0, (), "yes", ()),
        ],
        **FILES["hotpotqa"],
    )
    assert json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8")) == {
        "answer": {"a": "text"} | dict.fromkeys(("b", "all", "one in a window", "no sentence"), "yes"),
        "sp": {
            "a": [["A", 0], ["Ö", 3]],
            "b": [["A", 0], ["A", 1]],  # at least two, as every question has
            "all": [["A", 0], ["Ö", 3], ["A", 1]],
            "one in a window": [["A", 1]],
            "no sentence": [],
        },
    }


def test_wikihop_has_candidates(tmp_path):
    found = (Candidate("elsewhere", 0, 4, 0.9, 0),)
    write_predictions(tmp_path / "out", [Prediction("a", found, 0.0, (0.1, 0.3), "", ("x", "y"))], **FILES["wikihop"])
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
        **FILES["natural_questions"],
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


@pytest.mark.parametrize("dataset", DATASETS)
def test_no_predictions_are_empty_files(tmp_path, dataset):
    assert write_predictions(tmp_path / "out", iter([]), **FILES[dataset]) == 0
    content = json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))
    assert not any(content.values())


@pytest.mark.parametrize(
    ("dataset", "answer_type", "file_text", "validation_text"),
    [
        ("squad", "", "eggs", "eggs"),
        ("hotpotqa", "span", "eggs", "eggs"),
        ("hotpotqa", "no", "no", "no"),
        ("wikihop", "", "second", "second"),
        ("natural_questions", "short", "eggs", "eggs"),
        ("natural_questions", "yes", "yes", "yes"),
        ("natural_questions", "long", "eggs", ""),  # its file has both answers, and scores to choose by
        ("natural_questions", "null", "eggs", ""),
    ],
)
def test_final_answers_in_files_and_in_validation(dataset, answer_type, file_text, validation_text):
    spec, names = DATASETS[dataset], ("[0, 1]", "[1, 2]") if dataset == "natural_questions" else ("first", "second")
    prediction = Prediction(
        "a", (Candidate("eggs", 0, 4, 0.9, 0),), 0.5, (0.1, 0.3), answer_type, names, 0.6, "eggs or"
    )
    assert spec.final_answer(prediction, None).text == file_text
    validation = spec.validation_answer or spec.final_answer
    assert validation(prediction, None).text == validation_text
    emptied = validation_text == "eggs"  # the threshold is of spans alone
    assert validation(prediction, 0.0).text == ("" if emptied else validation_text)
