from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "pydoc_corpus.py"
FILES = ["dev.json", "test.json", "text.txt", "train.json"]


@pytest.fixture(scope="module")
def corpus_module(script):
    return script("scripts/pydoc_corpus.py")


def run(out, *options, hash_seed="0"):
    command = [sys.executable, str(SCRIPT), "--out", str(out), "--editions", "1", *options]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The folder of one run, and what the run printed."""
    out = tmp_path_factory.mktemp("corpus") / "out"
    result = run(out)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return out, result.stdout


def paragraphs(out, split):
    for article in json.loads((out / f"{split}.json").read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            yield article["title"], paragraph


def rows_of_eight(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}


def test_writes_four_files_and_a_table(corpus):
    out, printed = corpus
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert [line.split()[0] for line in printed.splitlines()[1:]] == ["train", "dev", "test", "text"]


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_is_squad(corpus, split):
    ids = Counter()
    for _, paragraph in paragraphs(corpus[0], split):
        lines = paragraph["context"].split("\n")
        headings = [line.partition(" : ")[0].removeprefix("* ") for line in lines]
        assert len(set(headings)) == len(headings)
        for question in paragraph["qas"]:
            ids[question["id"]] += 1
            assert question["question"].strip() == question["question"] != ""
            [answer] = question["answers"]
            start, text = answer["answer_start"], answer["text"]
            assert paragraph["context"][start : start + len(text)] == text
            assert paragraph["context"][:start].endswith("\n* ") or start == 2
            assert text in headings and re.match(r"[\w.]+$", text)
    assert max(ids.values()) == 1


def test_enough_questions_at_every_length_and_depth(corpus, corpus_module):
    by_length, depths = Counter(), []
    for title, paragraph in paragraphs(corpus[0], "test"):
        length = title.split()[1]
        tokens = corpus_module.approximate_tokens(paragraph["context"])
        edge = {"512": 512, "1k": 1024, "2k": 2048, "4k": 4096, "8k": 8192}[length]
        assert edge / 2 < 1.2 * tokens < edge
        by_length[length] += len(paragraph["qas"])
        depths += [q["answers"][0]["answer_start"] / len(paragraph["context"]) for q in paragraph["qas"]]
    assert set(by_length) == {"512", "1k", "2k", "4k", "8k"} and min(by_length.values()) >= 100
    fifths = Counter(int(5 * depth) for depth in depths)
    assert min(fifths.values()) > 0.1 * len(depths)
    assert sum(len(paragraph["qas"]) for _, paragraph in paragraphs(corpus[0], "train")) > 2000


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_the_answer_is_the_one_best_match(corpus, corpus_module, split):
    """By counting words of the question in every entry, straight from the file."""
    stem = corpus_module.stem
    for _, paragraph in paragraphs(corpus[0], split):
        lines = paragraph["context"].split("\n")
        words = [
            {stem(w) for w in re.split(r"\s", line.partition(" : ")[2])}
            | {stem(w) for w in re.split(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])", line.partition(" : ")[0])}
            for line in lines
        ]
        for question in paragraph["qas"]:
            asked = {stem(w) for w in question["question"].split() if corpus_module.is_content(w)}
            counts = [len(asked & there) for there in words]
            place = paragraph["context"][: question["answers"][0]["answer_start"]].count("\n")
            assert counts[place] >= 2
            assert counts[place] > max([0, *counts[:place], *counts[place + 1 :]])


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_the_question_is_not_in_the_entry(corpus, corpus_module, split):
    for _, paragraph in paragraphs(corpus[0], split):
        for question in paragraph["qas"]:
            answer = question["answers"][0]
            name = answer["text"].rpartition(".")[2]
            assert not any(corpus_module.names(word, name) for word in question["question"].split())
            entry = paragraph["context"][answer["answer_start"] :].split("\n")[0].partition(" : ")[2]
            assert question["question"] not in entry
            assert not any(corpus_module.names(word, name) for word in entry.split())


def test_nothing_of_dev_and_test_is_seen_in_training(corpus, corpus_module):
    out, _ = corpus
    text = (out / "text.txt").read_text(encoding="utf-8")
    seen = rows_of_eight(text)
    for _, paragraph in paragraphs(out, "train"):
        for line in paragraph["context"].split("\n"):
            seen |= rows_of_eight(line)
    pages = corpus_module.read_standard_library()
    held_out = [doc.text for page in corpus_module.TEST_PAGES + corpus_module.DEV_PAGES for doc in pages[page]]
    assert len(held_out) > 800
    for docstring in held_out:
        for sentence in corpus_module.prose(docstring):
            assert not rows_of_eight(sentence) & seen
    titles = {title.split()[0] for split in ("dev", "test") for title, _ in paragraphs(out, split)}
    trained = {name for title, _ in paragraphs(out, "train") for name in title.split()}
    assert titles == {*corpus_module.TEST_PAGES, *corpus_module.DEV_PAGES} and not titles & trained


def test_text_is_documents_of_paragraphs(corpus):
    text = (corpus[0] / "text.txt").read_text(encoding="utf-8")
    documents = text.strip().split("\n\n")
    assert len(documents) > 100 and len(text.split()) > 200_000
    assert "\n\n\n" not in text and text.endswith("\n") and not text.endswith("\n\n")
    assert all(line == line.strip() and line.isprintable() for line in text.split("\n"))


def test_is_the_same_again_and_other_with_another_seed(corpus, tmp_path):
    assert run(tmp_path / "again", hash_seed="123").returncode == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "text.txt").write_text("old")
    assert run(other, "--seed", "2", "--overwrite").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "other"]
    assert sorted(path.name for path in other.iterdir()) == FILES
    for name in FILES:
        first = (corpus[0] / name).read_bytes()
        assert (tmp_path / "again" / name).read_bytes() == first
        assert ((other / name).read_bytes() == first) == (name == "text.txt")


def test_an_existing_folder_is_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    result = run(tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and str(tmp_path) in result.stderr and "--overwrite" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("overlap", ["-1", "1.5"])
def test_refuses_an_impossible_overlap(tmp_path, overlap):
    result = run(tmp_path / "out", "--overlap", overlap)
    assert result.returncode == 2 and overlap in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_overlap_deals_the_words(corpus_module):
    sentences = ["alpha bravo charlie delta echo foxtrot golf hotel"]
    for overlap, shared in ((0.25, 2), (0.5, 4), (1, 8)):
        entry = corpus_module.make_entry("name", "name", sentences, overlap, False, random.Random(0))
        question, held = set(entry.question.split()), set(entry.description.split())
        assert len(question & held) == shared and question | held == set(sentences[0].split())
        assert abs(len(question - held) - len(held - question)) <= 1


def test_keywords_are_the_content_words(corpus_module):
    sentences = ["Return the alpha, of the bravo and the charlie."]
    plain, keywords = (
        corpus_module.make_entry("name", "name", sentences, 1, only, random.Random(0)) for only in (False, True)
    )
    assert plain.question == sentences[0][:-1] and keywords.question == "alpha bravo charlie"
    assert plain.description == keywords.description == sentences[0]


def test_words_of_the_question_only_are_in_no_part_of_the_entry(corpus_module):
    sentences = ["alpha bravo charlie delta echo", "Alpha, bravo: charlies (delta) echo."]
    for seed in range(20):
        entry = corpus_module.make_entry("name", "name", sentences, 0.4, False, random.Random(seed))
        only_asked = {corpus_module.stem(w) for w in entry.question.split()} - {
            corpus_module.stem(w) for w in entry.description.split()
        }
        assert only_asked and len(entry.asked & entry.held) == 2


@pytest.mark.parametrize(
    ("word", "name", "expected"),
    [
        ("get_nowait", "get_nowait", True),
        ("Queue.get_nowait()", "get_nowait", True),
        ("GetNowait.", "get_nowait", True),
        ("closes", "close", True),
        ("get", "get_nowait", False),
        ("closed", "close", False),
    ],
)
def test_a_word_that_is_the_name(corpus_module, word, name, expected):
    assert corpus_module.names(word, name) is expected


@pytest.mark.parametrize(
    ("docstring", "sentences"),
    [
        ("Return x. Then y.\n\nMore here.", ("Return x.", "Then y.", "More here.")),
        ("find(sub[, start]) -> int\n\nReturn the index.", ("Return the index.",)),
        ("hypot(*coordinates) -> value\n\nEuclidean distance.", ("Euclidean distance.",)),
        ("Do it.\n\n>>> do()\n1", ("Do it.",)),
        ("Open :class:`~io.File` with ``mode``.\n\n:param mode: how", ("Open io.File with mode.",)),
        ("", ()),
    ],
)
def test_prose(corpus_module, docstring, sentences):
    assert corpus_module.prose(docstring) == sentences


def test_reads_public_docstrings_of_a_source(corpus_module):
    source = '''
"""Module."""
def f():
    """F."""
    def inner():
        """Inner."""
class C:
    """C."""
    @property
    def p(self):
        """P."""
    def _q(self):
        """Q."""
if True:
    async def g():
        """G."""
'''
    found = [(d.owner, d.name, d.text, d.public) for d in corpus_module.docstrings_of_source("m", source)]
    assert found == [
        ("", "", "Module.", False),
        ("", "f", "F.", True),
        ("", "C", "C.", True),
        ("C", "p", "P.", True),
        ("C", "_q", "Q.", False),
        ("", "g", "G.", True),
    ]
    assert list(corpus_module.docstrings_of_source("m", "def broken(:")) == []


def test_headings_are_unique(corpus_module):
    made = [
        corpus_module.Docstring("p.a", owner, name, f"Text of {owner} {name} {i}.", True)
        for i, (owner, name) in enumerate([("A", "get"), ("B", "get"), ("", "only"), ("B", "put"), ("B", "put")])
    ]
    headings = [heading for heading, _, _ in corpus_module.headed(made)]
    assert headings == ["A.get", "B.get", "only"]  # the two puts of B cannot be told apart
