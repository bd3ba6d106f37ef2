"""Labelled texts from JSON lines and from folders."""

from __future__ import annotations

import gzip
import json

import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.labelled_texts import read_labelled


def lines(path, *records):
    path.write_text("".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records))
    return path


def test_lines(tmp_path):
    path = lines(
        tmp_path / "a.jsonl",
        {"text": "One.", "label": "pos"},
        "",
        {"text": "Two.\nLines", "text2": "second", "label": 3, "id": 7},
        {"text": "", "labels": ["b", "a", "b"], "id": "x"},
        {"text": "four", "labels": []},
        {"text": "five", "label": None},
    )
    read = [(t.id, t.text, t.second, t.labels, t.problem_type) for t in read_labelled(path)]
    assert read == [
        ("a.jsonl:1", "One.", None, ("pos",), "single_label"),
        ("7", "Two.\nLines", "second", ("3",), "single_label"),
        ("x", "", None, ("b", "a"), "multi_label"),
        ("a.jsonl:5", "four", None, (), "multi_label"),
        ("a.jsonl:6", "five", None, None, "single_label"),
    ]
    packed = tmp_path / "packed" / "a.jsonl"
    packed.parent.mkdir()
    packed.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert [t.text for t in read_labelled(packed.with_suffix(".jsonl.gz"))] == [text for _, text, *_ in read]


def test_folder(tmp_path):
    for name in ("pos/b.txt", "pos/a", "pos/deep/c.txt", "neg/a.txt", ".git/x", "neg/.DS_Store"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"text of {name}\n", "utf-8")
    read = [(t.id, t.text, t.labels) for t in read_labelled(tmp_path)]
    names = ["neg/a.txt", "pos/a", "pos/b.txt", "pos/deep/c.txt"]
    assert read == [(name, f"text of {name}\n", (name[:3],)) for name in names]
    unlabelled = [(t.id, t.labels) for t in read_labelled(tmp_path / "neg")]
    assert unlabelled == [("a.txt", None)]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("{", "not valid JSON"),
        ([1], "an object was expected"),
        ({"label": "a"}, "no 'text'"),
        ({"text": 1, "label": "a"}, "'text' is int"),
        ({"text": "x", "text2": None, "label": "a"}, "no text2"),
        ({"text": "x", "id": 1.5, "label": "a"}, "the id is 1.5"),
        ({"text": "x", "label": "a", "labels": ["a"]}, "keep one of them"),
        ({"text": "x", "labels": "a"}, "'labels' is str"),
        ({"text": "x", "label": {"a": 1}}, "expected a label"),
        ({"text": "x", "labels": [["a"]]}, "expected a label"),
        ({"text": "x", "label": " a"}, "white space"),
        ({"text": "x", "label": "a\nb"}, "white space"),
        ({"text": "x", "label": ""}, "empty"),
    ],
)
def test_faults_name_the_line(tmp_path, record, says):
    path = lines(tmp_path / "a.jsonl", {"text": "fine", "label": "a"}, record)
    with pytest.raises(UserError, match="a.jsonl, line 2: ") as error:
        list(read_labelled(path))
    assert says in str(error.value)


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match="a.txt, line 1: not UTF-8"):
        list(read_labelled(tmp_path))
