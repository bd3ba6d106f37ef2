"""Labels from probabilities, and their file."""

from __future__ import annotations

import json

import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.inference.prediction_files import write_classifications

SCORES = {"a": 0.2, "b": 0.5, "c": 0.5}


def test_one_label_and_several():
    assert Classification("x", SCORES).record() == {"label": "b", "probabilities": SCORES}
    assert Classification("x", SCORES, "multi_label").record()["labels"] == ["b", "c"]
    assert Classification("x", SCORES, "multi_label").record(0.1)["labels"] == ["a", "b", "c"]
    assert Classification("x", SCORES, "multi_label").record(0.6) == {"labels": [], "probabilities": SCORES}
    assert Classification("x", {}, "regression", 3.2).record() == {"score": 3.2}


def test_the_file(tmp_path):
    several = [Classification(name, SCORES, "multi_label") for name in ("ü", 'quo"te')]
    assert write_classifications(tmp_path / "out", iter(several), threshold=0.6) == 2
    content = json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))
    assert content == {one.id: one.record(0.6) for one in several}
    with pytest.raises(UserError, match="not empty"):
        write_classifications(tmp_path / "out", several)
    assert write_classifications(tmp_path / "out", [], overwrite=True) == 0
    assert json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8")) == {}
