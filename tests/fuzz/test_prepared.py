"""Prepared folders whose files were changed: what opens and can be read, or one line that says which file."""

from __future__ import annotations

import json

import pytest

from fairseq_littlebird.data.classification_metadata import read_metadata
from fairseq_littlebird.data.preparation import prepare_questions
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.text.tokenizers import load_tokenizer

WORDS = "[UNK]\nann\nsang\nlow\n.\nwho\n?\nbo\n##b\none\ntwo\n"
CLASSES = {
    "version": 2,
    "dataset": "classification",
    "problem_type": "single_label",
    "labels": ["neg", "pos"],
    "splits": {"train": {"labelled": True, "labels": {"neg": 1}}, "test": {"labelled": False}},
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A small folder of HotpotQA, which has all there is to read: name -> content."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "vocab.txt").write_text(WORDS)
    (folder / "dict.txt").write_text("".join(f"{word} 1\n" for word in WORDS.split()[1:]))
    record = {"question": "who sang ?", "context": [["one", ["ann sang .", " bob sang low ."] * 4], ["two", ["bo"]]]}
    records = [
        record | {"_id": "a", "answer": "bob", "supporting_facts": [["one", 1]]},
        record | {"_id": "b", "answer": "no", "supporting_facts": [["two", 0]]},
    ]
    (folder / "x.json").write_text(json.dumps(records))
    files = {"train": [folder / "x.json"]}
    tokenizer = load_tokenizer(folder / "vocab.txt")
    prepare_questions("hotpotqa", files, tokenizer, folder / "dict.txt", folder / "out", 24, 8)
    return {file.name: file.read_bytes() for file in sorted((folder / "out").iterdir())}


def read(folder):
    questions = PreparedQuestions(folder, "train")
    assert questions.num_windows == len(questions.window_examples())
    for index in range(len(questions)):
        example, windows = questions.example(index)
        example.document.encode()
        assert all(0 <= window < questions.num_windows for window in windows)
    for index in range(questions.num_windows):
        window = questions.window(index)
        assert len(window.tokens) == window.context_start + len(window.offsets) + 1
    if questions.num_windows:
        questions.window_answered(0, questions.num_windows)
    assert len(questions.window_sizes) == questions.num_windows


def test_questions(hostile, prepared):
    """Each of its files; a bit of a token's number is not seen, one of a place in a file is."""
    settings = {"prepared.json": hostile.Json(json.loads(prepared["prepared.json"]))}
    files = {name: hostile.Bytes(content) for name, content in prepared.items() if name.startswith("train.")}
    records = {name: file for name, file in files.items() if name.endswith((".idx", "examples.bin"))}
    numbers = {name: file for name, file in files.items() if name not in records}
    hostile.run(settings | files, records | settings | numbers, read=read)


def test_classes(hostile):
    def read(folder):
        classes = read_metadata(folder)
        assert all(isinstance(label, str) for label in classes.labels)

    hostile.run({"prepared.json": hostile.Json(CLASSES)}, read=read)
