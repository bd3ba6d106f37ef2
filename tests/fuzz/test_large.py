"""Long input of one kind: what takes time in its square, or worse, would not end within a case's time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fairseq_littlebird.datasets.question_files import read_questions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import squad
from fairseq_littlebird.text.answers import locate
from fairseq_littlebird.text.example import Answer
from fairseq_littlebird.text.html import html_pieces
from fairseq_littlebird.text.matching import LONGEST, occurrences
from fairseq_littlebird.text.tokenizers import load_tokenizer
from fairseq_littlebird.text.training import _sentences

N = 200_000
SECONDS = 10
"""Each takes one or two; in the square of N it would be a minute and more."""

PAGES = {
    "opened": "<" * N,
    "names": "<a" * N,
    "names and one end": "<a" * N + ">",
    "declarations": "<!" * N,
    "instructions": "<?" * N,
    "comments": "<!--" * N,
    "comments and ends": "<!-->" * N,
    "closed": "</" * N,
    "quotes": "<a '" * N + ">",
    "two quotes": "<a '\"" * N + ">",
    "quoted ends": "<a '>' \">" * N,
    "attributes": "<a" + " b='c'" * N,
    "removed": "<nav></nav>" * (N // 4),
    "removed, open": "<nav>" * N,
    "removed, and names": "<nav>" + "<nav " * N,
    "scripts": "<script></script" * N,
    "roles": "<a role=" + " " * N + ">",
    "more roles": "<a " + "role = ' " * N + ">",
    "values": "<a role=" + "\"' role='" * N + ">",
    "self-closed": "<svg role=/>" * (N // 4),
    "entities": "&" * N,
    "entity": "&" + "a" * N,
    "numbers": "&#" + "9" * N,
    "hexadecimal": "&#x" + "f" * N,
    "spaces": " \n" * N,
    "words": "a  " * N,
    "paragraphs": "<p> " * N,
}


@pytest.mark.parametrize("page", PAGES)
def test_pages(hostile, page):
    with hostile.bounded(SECONDS):
        pieces = html_pieces(PAGES[page])
    starts = np.array([piece.start for piece in pieces] + [len(PAGES[page])])
    assert (np.diff(starts) > 0).all()


VALUES = ["[" * N, '{"a":' * N, "9" * N, "-" * N, '"' + "\\u0041" * N, '"' + "a" * N, "[1," * N, "[[],"]


@pytest.mark.parametrize("dataset", ["squad", "mrqa", "hotpotqa", "korquad2", "natural_questions"])
def test_values(hostile, tmp_path, dataset):
    for content in VALUES:
        (tmp_path / "x.json").write_text({"squad": '{"data": [', "korquad2": '{"a": '}.get(dataset, "") + content)
        with hostile.bounded(SECONDS), pytest.raises(UserError, match="x.json"):
            list(read_questions(dataset, tmp_path / "x.json"))


def test_answers_that_recur(hostile, tmp_path):
    document = "a-" * N
    with hostile.bounded(SECONDS):
        assert sum(1 for _ in occurrences(document, ["a-a"])) == N - 1
        assert not list(occurrences(document, [document[: LONGEST + 1]]))
        assert locate("a" * N, Answer("a" * (N // 2), N)) == (N // 2, N, False)
        squad.normalize("the " * N)
    for letter, answer in (("-", "-" * (N // 2) + "x"), ("x", "x" * (N // 2))):
        record = {"_id": "a", "question": "?", "answer": answer, "context": [["t", [letter * N]]]}
        (tmp_path / "x.json").write_text(json.dumps([record]))
        with hostile.bounded(SECONDS):
            (example,) = read_questions("hotpotqa", tmp_path / "x.json")
        assert example.answers == (Answer(answer, -1),)


@pytest.mark.parametrize("text", ["a" * N, "a " * N, "e" + "\u0301" * N, "\u0301 " * N, "\0" * N, "ﬁ" * N, "▁" * N])
def test_texts(hostile, tmp_path, text):
    (tmp_path / "vocab.txt").write_text("[UNK]\na\n##a\ne\n", "utf-8")
    (tmp_path / "x.txt").write_text(text, "utf-8")
    with hostile.bounded(SECONDS):
        symbols, offsets = load_tokenizer(tmp_path / "vocab.txt").encode(text)
        assert len(symbols) == len(offsets)
        assert sum(map(len, _sentences([tmp_path / "x.txt"]))) <= len(text)
