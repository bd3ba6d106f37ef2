"""Registered data sets: what one has, a user's own, and that nothing else goes by their names."""

from __future__ import annotations

import ast
import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

import fairseq_littlebird
from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.datasets import DATASETS, PLAIN, DatasetSpec, find_dataset, recognised, register_dataset
from fairseq_littlebird.datasets.question_files import open_questions, read_questions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.metrics.text_metric import TextMetric
from fairseq_littlebird.text.example import Answer, QAExample

PACKAGE = Path(fairseq_littlebird.__file__).parent


def parse(records, log):
    for number, record in records:
        with log.record():
            if "text" not in record:
                raise UserError("no text", records.where(number), RIDDLES.remedy)
            answer = record.get("answer", "")
            answers = (Answer(answer, record["text"].find(answer)),) if answer else ()
            yield QAExample(record["key"], "What?", record["text"], answers, labelled="answer" in record)


RIDDLES = DatasetSpec(
    name="riddles",
    title="the riddles",
    parse=parse,
    remedy="give riddles",
    file_format="the riddles' JSON",
    matches=lambda record: "key" in record,
    validation_metric=TextMetric(lambda ours, gold: float(ours == gold), lambda ours, gold: 0.5),
)
RECORDS = [{"key": "1", "text": "An egg.", "answer": "egg"}, {"key": "2", "text": "Nothing.", "answer": ""}]


@pytest.fixture
def riddles(monkeypatch):
    monkeypatch.setitem(DATASETS, "riddles", RIDDLES)
    return RIDDLES


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return str(path)


@pytest.mark.parametrize("name", DATASETS)
def test_one_file_has_all_of_a_data_set(name):
    module = importlib.import_module(f"fairseq_littlebird.datasets.{name}")
    assert getattr(module, name.upper()) is DATASETS[name] and DATASETS[name].name == name


def test_nothing_else_knows_a_data_set_by_its_name():
    """Apart from that of questions without a data set, which ``PLAIN`` has."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name == "datasets" and path.name != "registry.py":
            continue
        names = {node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)}
        assert names & DATASETS.keys() == ({PLAIN} if path.name == "registry.py" else set()), path


def test_a_name_is_taken_once():
    for name in ("squad", "auto"):
        with pytest.raises(ValueError, match="is registered"):
            register_dataset(replace(RIDDLES, name=name))


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("name", "two words", ": name .*letters, digits"),
        ("name", 3, ": name .*int 3"),
        ("title", " ", ": title "),
        ("parse", None, ": parse .*NoneType"),
        ("matches", "key", ": matches "),
        ("max_answer_length", 0, ": max_answer_length .*int 0"),
        ("max_answer_length", 8.0, ": max_answer_length .*whole"),
        ("answer_types", "span", ": answer_types .*tuple"),
        ("segments", "sentences", ": segments .*'', 'evidence'"),
        ("prediction_format", "{}", ": prediction_format .*Section"),
        ("validation_metric", TextMetric("em", "f1"), ": validation_metric .*TextMetric"),
        ("official_metric", max, ": official_metric .*OfficialMetric"),
    ],
)
def test_a_description_that_cannot_be_used(member, value, message):
    with pytest.raises((TypeError, ValueError), match=message):
        register_dataset(replace(RIDDLES, **{member: value}))
    with pytest.raises(TypeError, match="expected a DatasetSpec, got dict"):
        register_dataset({"name": "riddles"})


def test_a_data_set_of_the_users_own_is_read_and_recognised(riddles, tmp_path, monkeypatch):
    path = written(tmp_path / "x.json", RECORDS)
    with open_questions("auto", path) as file:
        assert file.spec is riddles
    first, second = read_questions("riddles", path)
    assert (first.answers, second.answers) == ((Answer("egg", 3),), ())
    with pytest.raises(UserError, match="--dataset riddles"):
        list(read_questions("squad", path))
    monkeypatch.setitem(DATASETS, "riddles", replace(riddles, file_format=""))
    with pytest.raises(UserError, match="--dataset riddles"):
        list(read_questions("squad", path))
    squads = written(tmp_path / "squad.json", {"data": [{"paragraphs": []}]})
    with pytest.raises(UserError, match="--dataset squad"):
        list(read_questions("riddles", squads))
    with pytest.raises(UserError, match="riddles"):
        list(read_questions("riddles", path, join_articles=True))


@pytest.mark.parametrize("field", ["key", "text", "answer"])
def test_half_a_character_that_a_parser_left(riddles, tmp_path, field):
    record = {"key": "3", "text": "An egg.", "answer": "egg"}
    path = written(tmp_path / "x.json", [RECORDS[0], record | {field: "an \ud800 egg"}])
    with pytest.raises(UserError, match="x.json, question .*surrogate"):
        list(read_questions("riddles", path))
    log = ReadingLog(skip_bad=True)
    assert [example.id for example in read_questions("riddles", path, log=log)] == ["1"] and len(log.skipped) == 1


def test_a_format_that_another_data_set_has_too(riddles, tmp_path):
    """The data set that is named reads what it takes for its own; unnamed, the one registered last does."""
    both = {"query": "?", "candidates": [], "supports": [], **RECORDS[0]}
    assert recognised(both) is riddles
    assert [e.id for e in read_questions("riddles", written(tmp_path / "x.json", [both]))] == ["1"]


def test_without_an_official_metric_the_parsed_answers_are_scored(riddles, tmp_path, capsys):
    gold = written(tmp_path / "gold.json", RECORDS)
    predictions = written(tmp_path / "predictions.json", {"1": "egg", "2": "egg"})
    evaluate(["--dataset", "auto", "--gold", gold, "--predictions", predictions, "--json"])
    assert json.loads(capsys.readouterr().out) == {"exact_match": 50.0, "f1": 50.0}


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([RECORDS[0], RECORDS[0]], "gold.json, question 1: "),
        ([{"key": "1", "text": "An egg."}], "gold.json, question 1: "),
        ([], "gold.json: "),
        ([{"key": "1"}], "gold.json, record 1: "),
    ],
)
def test_gold_that_cannot_be_scored(riddles, tmp_path, capsys, records, message):
    gold, predictions = written(tmp_path / "gold.json", records), written(tmp_path / "predictions.json", {})
    with pytest.raises(SystemExit) as stop:
        evaluate(["--dataset", "riddles", "--gold", gold, "--predictions", predictions])
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_a_data_set_that_nothing_registers():
    message = "x: .*'charades'.*--user-dir"
    with pytest.raises(UserError, match=message):
        find_dataset("charades", "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no package here"),
        ("import not_there_at_all", "No module"),
        ("1\nx = (", "SyntaxError: "),
        ("def f():\n    f(1)\nf()", "TypeError: f() takes 0"),
        ("x = 1\ny", "NameError: name 'y'"),
        ("import os\nos.nothing", "AttributeError: "),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("from fairseq_littlebird.datasets import *; register_dataset(DATASETS['squad'])", "'squad' is registered"),
    ],
)
def test_user_dirs_that_cannot_be_imported(tmp_path, capsys, content, message):
    folder = tmp_path / f"own_{abs(hash(content))}"
    folder.mkdir()
    if content is not None:
        (folder / "__init__.py").write_text(content, "utf-8")
    with pytest.raises(SystemExit) as stop:
        prepare(["qa", "--user-dir", str(folder), "--dataset", "own"])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and str(folder) in error and error.count("\n") == 1
