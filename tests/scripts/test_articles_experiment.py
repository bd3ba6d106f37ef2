"""Questions about whole articles: those that are asked, and the table."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "experiments"


@pytest.fixture
def experiment(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("articles")


def article(name, *answered):
    """A paragraph for each question, which has an answer or not."""
    paragraphs = []
    for n, has_answer in enumerate(answered):
        answers = [{"text": "a", "answer_start": 0}] if has_answer else []
        question = {"id": f"{name}{n}", "question": "?", "answers": answers, "is_impossible": not has_answer}
        paragraphs.append({"context": "a b", "qas": [question]})
    return {"title": name, "paragraphs": paragraphs}


def test_questions_have_answers_and_articles_stay_whole(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "TEST", ("x.json", "y.json"))
    (tmp_path / "x.json").write_text(json.dumps({"data": [article("x", True, False, True), article("z", True)]}))
    (tmp_path / "y.json").write_text(json.dumps({"data": [article("y", True, True)]}))
    options = argparse.Namespace(out=tmp_path / "out", data=tmp_path, questions=3, bf16=False)
    (read,) = [json.loads(experiment.Articles(options).questions("test").read_text())["data"]]
    assert [len(one["paragraphs"]) for one in read] == [3, 1, 2]
    asked = {q["id"] for one in read for paragraph in one["paragraphs"] for q in paragraph["qas"]}
    assert len(asked) == 3 and asked < {"x0", "x2", "z0", "y0", "y1"}
    again = experiment.Articles(argparse.Namespace(out=tmp_path / "again", data=tmp_path, questions=3, bf16=False))
    assert json.loads(again.questions("test").read_text())["data"] == read


def test_report(experiment, tmp_path):
    gold = [{"id": str(n), "question": "?", "answers": [{"text": "a cat", "answer_start": 0}]} for n in range(4)]
    article = {"title": "", "paragraphs": [{"context": "a cat", "qas": gold}]}
    (tmp_path / "test.json").write_text(json.dumps({"version": "1.1", "data": [article]}))
    answers = {
        "source-windows": {"0": "cat", "1": "the cat", "2": "black cat", "3": "dog"},
        "littlebird-one-window": dict.fromkeys("0123", "cat"),
    }
    for name, predictions in answers.items():
        (tmp_path / f"predicted-{name}").mkdir()
        (tmp_path / f"predicted-{name}" / "predictions.json").write_text(json.dumps(predictions))
    results = {f"scores/{name}": {"seconds": 10.0} for name in answers} | {"minutes/reader-source": 3.0}
    lines = experiment.report(tmp_path, results).splitlines()
    assert "| source-windows | 50.0 [0.0, 100.0] | 66.7 [25.0, 100.0] | 2.50 |" in lines
    assert "| littlebird-one-window | 100.0 [100.0, 100.0] | 100.0 [100.0, 100.0] | 2.50 |" in lines
    assert "littlebird-one-window less source-windows, F1 of the same questions: 33.3 [0.0, 75.0]" in lines
    assert lines[-1] == "minutes/reader-source: 3.0"
