"""Readers of HotpotQA, TriviaQA, WikiHop and KorQuAD 2 files: invented records, then real ones."""

from __future__ import annotations

import json
import shutil

import pytest

from fairseq_littlebird.datasets.question_files import read_questions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.example import Answer


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def shown(example):
    """What the model reads, symbols as they are written."""
    parts = (p.symbol or (example.document[p.start : p.stop] if p.text is None else p.text) for p in example.pieces)
    return "".join(parts)


def hotpotqa(answer="Cork", facts=(("B", 1),), **more):
    context = [["A", ["Cork is red.", " So is Lima."]], ["B", ["Nobody.", " Ann saw Cork twice: Cork."]]]
    record = {"_id": "q", "question": "Where?", "answer": answer, "supporting_facts": list(facts), "context": context}
    return record | more


def only(dataset, path):
    (example,) = read_questions(dataset, path)
    return example


def test_hotpotqa(tmp_path):
    example = only("hotpotqa", written(tmp_path / "h.json", [hotpotqa()]))
    assert shown(example) == "A\nCork is red. So is Lima.</s>B\nNobody. Ann saw Cork twice: Cork."
    assert [example.document[s.start : s.stop] for s in example.segments if s.gold] == [" Ann saw Cork twice: Cork."]
    assert [json.loads(s.name) for s in example.segments] == [["A", 0], ["A", 1], ["B", 0], ["B", 1]]
    # in the evidence alone, wherever it stands there
    first, second = example.answers
    assert first.text == second.text == "Cork" and example.document[first.start :].startswith("Cork twice: Cork.")
    assert (example.answer_type, example.question) == ("span", "Where?")


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_hotpotqa_yes_and_no_have_no_place(tmp_path, answer):
    example = only("hotpotqa", written(tmp_path / "h.json", [hotpotqa(answer)]))
    assert (example.answers, example.answer_type) == ((), answer)


def test_hotpotqa_answers_outside_the_evidence(tmp_path):
    example = only("hotpotqa", written(tmp_path / "h.json", [hotpotqa("Lima")]))
    assert [example.document[a.start : a.start + 4] for a in example.answers] == ["Lima"]
    lost = only("hotpotqa", written(tmp_path / "h.json", [hotpotqa("Oslo")]))
    assert lost.answers == (Answer("Oslo", -1),)


def test_hotpotqa_without_answers(tmp_path):
    record = hotpotqa()
    del record["answer"], record["supporting_facts"]
    example = only("hotpotqa", written(tmp_path / "h.json", [record]))
    assert (example.answers, example.answer_type) == ((), "") and not any(s.gold for s in example.segments)


def test_wikihop(tmp_path):
    record = {"id": "w", "query": "part_of north sea", "answer": "sea b", "candidates": ["ocean", "sea b"]}
    record["supports"] = ["One.", "Two\n\nlines."]
    example = only("wikihop", written(tmp_path / "w.json", [record]))
    assert shown(example) == "ocean</s>sea b</s>One.</s>Two\n\nlines."
    assert example.question == "part of north sea"
    assert [(s.name, s.gold) for s in example.segments] == [("ocean", False), ("sea b", True)]
    assert [example.document[a.start :][: len(a.text)] for a in example.answers] == ["sea b"]
    assert shown(example).startswith("ocean</s>sea b</s>") and example.fixed_pieces == 3


def triviaqa(folder, domain):
    pages = [{"Filename": "A.txt"}, {"Filename": "B.txt"}]
    record = {"QuestionId": "t", "Question": "Who?", "Answer": {"Value": "X. Y.", "Aliases": ["X.Y", "a b c " * 9]}}
    record |= {"EntityPages": pages} if domain == "wikipedia" else {"SearchResults": pages, "EntityPages": []}
    for name, text in (("A.txt", "First x y.\n\n  \nAxy.\n"), ("B.txt", "None.")):
        written(folder / "evidence" / domain / name, text)
    return written(folder / "qa" / "dev.json", {"Data": [record], "Domain": domain.title()})


def test_triviaqa_wikipedia_has_one_document_a_question(tmp_path):
    example = only("triviaqa", triviaqa(tmp_path, "wikipedia"))
    assert shown(example) == "First x y.</s>Axy.</s>None."
    assert (example.id, example.answers) == ("t", (Answer("x y", 6),))


def test_triviaqa_web_has_one_question_a_document(tmp_path):
    first, second = read_questions("triviaqa", triviaqa(tmp_path, "web"))
    assert (first.id, second.id) == ("t--A.txt", "t--B.txt")
    assert second.answers == (Answer("X. Y.", -1),)


def test_triviaqa_without_its_evidence(tmp_path):
    path = triviaqa(tmp_path, "web")
    (tmp_path / "evidence" / "web" / "B.txt").unlink()
    with pytest.raises(UserError, match=r"dev.json, record 1 \(id t\), .*B.txt: its evidence document is missing"):
        list(read_questions("triviaqa", path))
    with pytest.raises(UserError, match="no folder evidence/"):
        list(read_questions("triviaqa", written(tmp_path / "alone" / "qa" / "x.json", {"Data": []})))


def test_korquad2(tmp_path):
    page = "<head>no</head><p>물 &amp; <a href='x'>불</a></p><table><tr><td>1</td></tr></table>"
    answers = [("<a href='x'>불</a>", page.index("<a")), ("<table><tr><td>1</td></tr></table>", page.index("<table"))]
    qas = [
        {"id": str(i), "question": "?", "answer": {"text": "", "html_answer_text": text, "html_answer_start": start}}
        for i, (text, start) in enumerate(answers)
    ]
    path = written(tmp_path / "k.json", {"data": [{"title": "t", "raw_html": page, "context": "", "qas": qas}]})
    first, second = read_questions("korquad2", path)
    assert shown(first) == "<p>물 & 불<table><tr><td>1"
    assert first.document is second.document and first.pieces is second.pieces
    for example, (text, start) in zip((first, second), answers, strict=True):
        assert example.answers == (Answer(text, start),) and page.startswith(text, start)


@pytest.mark.parametrize("dataset", ["hotpotqa", "triviaqa", "wikihop", "korquad2", "natural_questions"])
@pytest.mark.parametrize(
    "content", ["", "[", "{}", "[1]", '[{"_id": 1, "id": 1}]', '{"data": [{}], "Data": [{}]}', "\x00"]
)
def test_other_files_are_one_line(tmp_path, dataset, content):
    (tmp_path / "evidence").mkdir()
    with pytest.raises(UserError, match="x.json") as error:
        if not list(read_questions(dataset, written(tmp_path / "x.json", content))):
            raise UserError("x.json has no record, which is another's error to tell")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dataset", ["hotpotqa", "triviaqa", "wikihop", "korquad2", "natural_questions"])
def test_articles_cannot_be_joined(tmp_path, dataset):
    (tmp_path / "evidence").mkdir()
    with pytest.raises(UserError, match="join-articles"):
        list(read_questions(dataset, written(tmp_path / "x.json", "[]"), join_articles=True))


@pytest.fixture(scope="session")
def triviaqa_sample(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("triviaqa")
    shutil.unpack_archive(data_dir / "triviaqa" / "triviaqa-sample.tgz", folder)
    return folder


def in_place(example):
    return all(a.start >= 0 and example.document.startswith(a.text, a.start) for a in example.answers)


def test_real_hotpotqa(data_dir):
    examples = list(read_questions("hotpotqa", data_dir / "hotpotqa" / "distractor_100.json"))
    assert len(examples) == 100 and all(map(in_place, examples))
    assert sum(not e.answers for e in examples) == sum(e.answer_type in ("yes", "no") for e in examples) == 5
    assert all(any(s.gold for s in e.segments) for e in examples)


def test_real_triviaqa(triviaqa_sample):
    counts = {}
    for path in sorted((triviaqa_sample / "qa").glob("*.json")):
        examples = list(read_questions("triviaqa", path))
        assert all(e.answers and in_place(e) for e in examples)
        counts[path.stem] = len(examples)
    assert counts == {"web-dev": 5, "web-train": 7, "wikipedia-dev": 2, "wikipedia-train": 4}


def test_real_wikihop(data_dir):
    examples = list(read_questions("wikihop", data_dir / "wikihop" / "sample.json"))
    assert [a.text for e in examples for a in e.answers] == ["german empire", "democratic party"]
    assert all(map(in_place, examples))


@pytest.mark.parametrize(("split", "questions"), [("train", 1), ("dev", 2)])
def test_real_korquad2(data_dir, split, questions):
    examples = list(read_questions("korquad2", data_dir / "korquad2" / f"korquad2.1_{split}_00.json"))
    assert len(examples) == questions and all(map(in_place, examples))
    for example in examples:
        text = shown(example)
        assert "위키백과, 우리 모두의 백과사전" in text and "mw-" not in text and "<script" not in text
