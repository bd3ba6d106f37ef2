"""A paragraph among others: the documents, what is asked, and the command."""

from __future__ import annotations

import csv
import json
from dataclasses import astuple

import pytest

from fairseq_littlebird.benchmarks import needle, needle_plot
from fairseq_littlebird.benchmarks.needle import Needle, Reading, Row
from fairseq_littlebird.cli.benchmark import main
from fairseq_littlebird.errors import UserError


class Words:
    """A tokenizer with a token a word."""

    def tokenize(self, text):
        return text.split()

    def encode(self, text):
        offsets, start = [], 0
        for word in text.split():
            start = text.index(word, start)
            offsets.append((start, start + len(word)))
            start += len(word)
        return text.split(), offsets


NEEDLE = Needle("Where is the mill?", ("Oslo",), "The mill is in Oslo by the river .", "mills")
PARAGRAPHS = [(f"Paragraph {n} has these " + "words " * (n % 7 + 3) + f"end{n}", f"article {n % 9}") for n in range(60)]


def test_documents():
    haystack = needle.counted(PARAGRAPHS, Words())
    for length in (9, 10, 50, 133, 400):
        for depth in (0, 0.25, 0.5, 1):
            text = needle.document(NEEDLE, haystack, Words(), length, depth)
            assert len(text.split()) == length and text.count(NEEDLE.paragraph) == 1
            before = len(text[: text.index(NEEDLE.paragraph)].split())
            assert abs(before - depth * (length - 9)) <= 7 + 3  # half a paragraph, and the words of the longest
            if depth in (0, 1):
                assert before == depth * (length - 9)
    short, long = (needle.document(NEEDLE, haystack, Words(), length, 0) for length in (100, 300))
    assert long.startswith(short.rsplit("\n", 1)[0])
    for length, depth in ((8, 0), (10_000, 0.5)):
        with pytest.raises(UserError):
            needle.document(NEEDLE, haystack, Words(), length, depth)


def test_questions_whose_paragraph_is_too_long_are_left_out():
    """A paragraph as long as the document fits; if none does, the shortest one is named."""
    needles = [Needle(f"q{n}", ("a",), "word " * n, "x") for n in (30, 8, 9, 10)]
    haystack = needle.counted([(one.paragraph, "x") for one in needles], Words())
    assert [one.question for one in needle.fitting(needles, haystack, 9)] == ["q8", "q9"]
    assert needle.fitting(needles, haystack, 30) == needles
    with pytest.raises(UserError, match=r"^--lengths: .* longer than 7 tokens, the shortest one has 8; give longer"):
        needle.fitting(needles, haystack, 7)


def test_questions_without_words_are_left_out(questions, tmp_path):
    content = json.loads(questions.read_text())
    content["data"][1]["paragraphs"][2]["qas"][0]["question"] = " "
    (tmp_path / "empty.json").write_text(json.dumps(content))
    needles, paragraphs = needle.read_questions(tmp_path / "empty.json")
    asked = [one.question for one in needles]
    assert len(asked) == 29 and len(paragraphs) == 30 and "Who built mill 12?" not in asked


def test_others_never_answer():
    more = [*PARAGRAPHS, ("It rains in oslo, they say.", "rain"), ("Osloer Strasse", "streets"), ("The mill", "mills")]
    chosen = needle.others(NEEDLE, needle.counted([*more, (NEEDLE.paragraph, "copy")], Words()), seed=1)
    texts = [one.paragraph for one in chosen]
    assert "Osloer Strasse" in texts and len(texts) == len(PARAGRAPHS) + 1
    assert texts != [one.paragraph for one in needle.others(NEEDLE, needle.counted(more, Words()), seed=2)]


def test_questions_are_of_different_paragraphs():
    needles = [Needle(f"q{n}", ("a",), f"p{n % 4}", "x") for n in range(12)]
    chosen = needle.drawn(needles, 6, seed=0)
    assert len(chosen) == len({one.question for one in chosen}) == 6
    assert len({one.paragraph for one in chosen[:4]}) == 4


class Finder:
    """Answers where it stands among the first so many words."""

    tokenizer = Words()

    def __init__(self, reach):
        self.reach = reach

    def answer(self, question, text, **_):
        found = "Oslo" in text.split()[: self.reach]
        return [type("Answer", (), {"text": "in Oslo" if found else "elsewhere"})]


def test_scores(monkeypatch):
    """A model that reads the first 60 words finds what stands there, at F1 2/3."""
    monkeypatch.setattr(Reading, "of", lambda self, tokens: self.model)
    monkeypatch.setattr(Reading, "reaches", lambda self, tokens: self.model.reach > 0 or tokens <= 70)
    readings = [Reading("start", Finder(60)), Reading("short", Finder(0))]
    done = []
    haystack = needle.counted(PARAGRAPHS, Words())
    rows = [*needle.measure(readings, [NEEDLE] * 2, haystack, [50, 200], [0, 1], 0, lambda: done.append(1))]
    assert len(done) == 16 and [(row.model, row.length, row.depth) for row in rows] == [
        ("start", 50, 0), ("short", 50, 0), ("start", 50, 1), ("short", 50, 1), ("start", 200, 0), ("start", 200, 1),
    ]  # fmt: skip
    assert [round(row.f1, 1) for row in rows] == [66.7, 0, 66.7, 0, 66.7, 0]
    assert all(row.questions == 2 and row.exact_match == 0 for row in rows)


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """Three articles of ten paragraphs with a question each."""
    paragraphs = [
        {
            "context": f"The town number {n} has a mill built by Anna{n} long ago, " + "and the river runs by it " * 3,
            "qas": [{"id": f"{n}", "question": f"Who built mill {n}?", "answers": [{"text": f"Anna{n}",
                     "answer_start": f"The town number {n} has a mill built by Anna{n}".index("Anna")}]}],
        }
        for n in range(30)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("needle") / "questions.json"
    data = [{"title": f"t{k}", "paragraphs": paragraphs[10 * k : 10 * k + 10]} for k in range(3)]
    path.write_text(json.dumps({"version": "1.1", "data": data}))
    return path


def test_the_command(qa_model, questions, tmp_path, capsys):
    out = tmp_path / "needle.csv"
    main(
        ["needle", "--path", f"{qa_model}", "--window", "64", "--peer", f"{qa_model}", "--peer-window", "48",
         "--questions", f"{questions}", "--lengths", "128", "256", "--depths", "0", "1", "--count", "2", "--device",
         "cpu", "--precision", "bfloat16", "--csv", f"{out}", "--plot", f"{tmp_path}/needle.png"]
    )  # fmt: skip
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 12 and {row["questions"] for row in rows} == {"2"} and rows[0]["processor"]
    peer = f"{qa_model.parent.name}, windows of 48"
    assert {row["model"] for row in rows} == {"one window", "windows of 64", peer} and {
        row["precision"] for row in rows
    } == {"bfloat16"}
    assert (tmp_path / "needle.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.count("windows of 64") == 4


def test_paragraphs_of_other_questions_and_a_figure_of_two_commands(qa_model, questions, tmp_path, monkeypatch):
    """The length of the second command needs more paragraphs than the file of questions has."""
    other = {"data": [{"title": "x", "paragraphs": [{"context": f"Hay {n} " * 40, "qas": []} for n in range(60)]}]}
    (tmp_path / "more.json").write_text(json.dumps(other))
    drawn = []
    monkeypatch.setattr(needle_plot, "draw", lambda rows, path: drawn.append(rows))
    given = ["needle", "--path", f"{qa_model}", "--questions", f"{questions}", "--device", "cpu", "--count", "1",
             "--csv", f"{tmp_path / 'rows.csv'}", "--plot", f"{tmp_path / 'needle.png'}"]  # fmt: skip
    main([*given, "--lengths", "128", "192", "--depths", "0", "0.5"])
    main([*given, "--lengths", "3000", "--depths", "0", "--haystack", f"{tmp_path / 'more.json'}"])
    first, both = drawn
    assert both[:4] == first and [(row.length, row.depth) for row in both[4:]] == [(3000, 0)]
    assert [type(value) for value in astuple(both[4])] == [str, int, float, int, float, float, float]


def test_a_length_that_some_paragraphs_exceed(qa_model, questions, tmp_path, capsys):
    """One paragraph of thirty is too long: 29 questions are asked, and a line says so."""
    content = json.loads(questions.read_text())
    content["data"][0]["paragraphs"][3]["context"] += "and the river runs by it " * 99
    (tmp_path / "long.json").write_text(json.dumps(content))
    given = ["--path", f"{qa_model}", "--questions", f"{tmp_path / 'long.json'}", "--device", "cpu", "--depths", "0"]
    main(["needle", *given, "--lengths", "128", "--count", "30", "--csv", f"{tmp_path / 'needle.csv'}"])
    assert "1 of 30 questions left out: paragraphs of more than 128 tokens\n" in capsys.readouterr().out
    assert [row["questions"] for row in csv.DictReader((tmp_path / "needle.csv").open())] == ["29"]


@pytest.mark.parametrize(
    "more",
    [
        ["--lengths", "100000"],
        ["--lengths", "8"],
        ["--haystack", "gone.txt"],
        ["--haystack", "gone.json"],
        ["--questions", "gone.json"],
        ["--window", "3"],
        ["--depths", "1.5"],
        ["--path", "gone"],
    ],
)
def test_odd_input(qa_model, questions, more, capsys):
    given = ["needle", "--path", f"{qa_model}", "--questions", f"{questions}", "--count", "1", "--device", "cpu", *more]
    with pytest.raises(SystemExit) as stop:
        main(given)
    assert stop.value.code == 2 and "Traceback" not in capsys.readouterr().err


def test_rows_are_lines():
    row = Row("one window", 4096, 0.5, 20, 50.0, 61.23, 1.5)
    assert len(needle.line(row)) == len(needle.HEADER) and "61.2" in needle.line(row)
