"""The prediction files, read back."""

from __future__ import annotations

import json
import re
from dataclasses import replace

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


def test_they_come_in_the_order_of_the_questions(tmp_path):
    """Whatever the order of the batches."""
    shuffled = [replace(PREDICTIONS[i], index=i) for i in (2, 0, 1)]
    write_predictions(tmp_path / "out", shuffled, pages=True)
    assert [[*file] for file in read(tmp_path / "out")] == [["a", "b", "c"]] * 3
    index = (tmp_path / "out" / "html" / "index.html").read_text("utf-8")
    assert re.findall(r'<tr><td><a href="(\w)\.html"', index) == ["a", "b", "c"]


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


def test_no_predictions_are_empty_files(tmp_path):
    assert write_predictions(tmp_path / "out", iter([])) == 0
    assert read(tmp_path / "out") == ({}, {}, {})
