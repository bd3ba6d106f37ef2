"""littlebird-answer: documents as they are, and a question."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys

import pytest

from fairseq_littlebird import LittleBird
from fairseq_littlebird.cli.answer import main
from fairseq_littlebird.cli.answer_lines import sentence
from fairseq_littlebird.data.prepared import PreparedQuestions

DEVICE = ["--device", "cpu"]


@pytest.fixture(scope="module")
def model(qa_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    shutil.copyfile(qa_model, folder / "checkpoint_last.pt")
    return folder


@pytest.fixture(scope="module")
def examples(tiny):
    prepared = PreparedQuestions(tiny / "questions", "valid")
    return [prepared.example(i)[0] for i in range(3)]


@pytest.fixture(scope="module")
def documents(examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    for number, example in enumerate(examples):
        (folder / f"{number}.txt").write_text("A line before.\n" + example.document, "utf-8")
    return folder


def test_answers_are_those_of_the_model_with_their_place(model, examples, documents, capsys):
    path = documents / "1.txt"
    main([str(model), str(path), examples[1].question, "--json", "--top-k", "2", *DEVICE])
    record = json.loads(capsys.readouterr().out)
    text = path.read_text("utf-8")
    expected = LittleBird.from_pretrained(model, device="cpu").answer(examples[1].question, text, top_k=2)
    assert record["question"] == examples[1].question
    assert [(a["text"], a["start"], a["end"]) for a in record["answers"]] == [
        (a.text, a.start, a.end) for a in expected
    ]
    for found in record["answers"]:
        assert found["document"] == str(path) and text[found["start"] : found["end"]] == found["text"]
        assert found["line"] == 1 + text.count("\n", 0, found["start"])
        assert found["text"] in found["sentence"]


def test_a_folder_is_ranked_together_and_questions_may_be_several(model, examples, documents, capsys):
    question = ["-q", examples[0].question, "-q", examples[1].question]
    main([str(model), str(documents), *question, "--json", "--top-k", "50", *DEVICE])
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["question"] for record in records] == [example.question for example in examples[:2]]
    for record in records:
        probabilities = [found["probability"] for found in record["answers"]]
        assert probabilities == sorted(probabilities, reverse=True) and 0 < sum(probabilities) <= 1.0001
        assert len({found["document"] for found in record["answers"]}) == 3


def test_questions_from_standard_input_and_lines_for_people(model, documents, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("What?\n\nWho?\n"))
    main([str(model), str(documents / "0.txt"), "--top-k", "1", *DEVICE])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "What?" and lines[3] == "Who?" and len(lines) == 6
    assert lines[1].startswith("  1. ") and "0.txt, line " in lines[1]


def test_no_answer_above_the_threshold(model, documents, capsys):
    main([str(model), str(documents), "What?", "--null-threshold=-1e8", *DEVICE])
    assert capsys.readouterr().out == "What?\n  no answer\n"


def test_a_page(model, documents, tmp_path, capsys):
    arguments = [str(model), str(documents), "What?", "--html", str(tmp_path / "a.html"), *DEVICE]
    main(arguments)
    page = (tmp_path / "a.html").read_text("utf-8")
    assert '<mark id="answer">' in page and "index.html" not in page and 'id="evidence"' in page
    with pytest.raises(SystemExit):
        main(arguments)
    assert "the output file exists" in capsys.readouterr().err


def test_characters_that_a_terminal_obeys_are_not_printed(model, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("\x1b[31mred\x1b[0m and more text here.", "utf-8")
    main([str(model), str(tmp_path / "a.txt"), "What?", *DEVICE])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="file systems that want names in UTF-8")
def test_a_file_whose_name_is_no_text(model, tmp_path, capsys):
    path = os.path.join(tmp_path, os.fsdecode(b"caf\xe9.txt"))
    with open(path, "w", encoding="utf-8") as file:
        file.write("A school was founded here.")
    main([str(model), path, "What?", "--json", "--html", str(tmp_path / "a.html"), *DEVICE])
    assert json.loads(capsys.readouterr().out)["answers"][0]["document"] == path
    assert "caf\ufffd.txt" in (tmp_path / "a.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.txt", "What?"], "no.txt: No such file or directory"),
        (["{documents}", "missing.pdf"], "missing.pdf: No such file or directory"),
        (["{documents}", " "], "an empty question"),
        (["{documents}", "--html", "a.html"], "--html: a page is of one question"),
        (["-", "-", "What?"], "standard input is given twice"),
        (["-"], "standard input is the document"),
        (["{documents}", "What?", "--summarize"], "What?: No such file or directory"),
        (["{documents}", "--summarize"], "this model writes no summaries; give a model of --task summarization"),
        (["{documents}", "What?", "--html", "{documents}"], "a folder, not a file"),
        (["{documents}", "What?", "--html", "{documents}/0.txt"], "0.txt: the output file exists; move it away or add"),
        (["{documents}", "What?", "--html", "{documents}/0.txt", "--overwrite"], "one of the documents; name another"),
        (["{documents}/0.txt", "What?", "--html", "{documents}/0.txt", "--overwrite"], "one of the documents; name"),
        (["{documents}", "w1 " * 200, "--max-tokens", "64"], "a question as long as a window; ask in fewer words"),
    ],
)
def test_faults_are_one_line(model, documents, capsys, words, message):
    with pytest.raises(SystemExit) as stopped:
        main([str(model), *(word.format(documents=documents) for word in words), *DEVICE])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("littlebird-answer: ") and message in said and said.count("\n") == 1


@pytest.mark.parametrize("value", ["nan", "inf", "x"])
def test_a_threshold_is_a_number(capsys, value):
    with pytest.raises(SystemExit) as stopped:
        main(["model", "a.txt", "What?", "--null-threshold", value])
    assert stopped.value.code == 2
    assert f"argument --null-threshold: expected a number, got '{value}'" in capsys.readouterr().err


def test_a_pretrained_model_has_no_answers(span_model, documents, tiny, capsys):
    with pytest.raises(SystemExit):
        main([str(span_model), str(documents), "--tokenizer", str(tiny / "tokenizer"), *DEVICE])
    assert "a pretrained model has no answers; fine-tune it" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.subprocess
def test_summaries(summarizers, documents, capsys):
    main([str(summarizers["led"][0]), str(documents / "0.txt"), "--json", *DEVICE])
    record = json.loads(capsys.readouterr().out)
    assert record["document"] == str(documents / "0.txt") and isinstance(record["summary"], str)


def test_the_sentence_of_an_answer():
    text = "One. Two has words. Three.\nFour"
    start = text.index("has")
    assert text[slice(*sentence(text, start, start + 3))] == "Two has words."
    assert text[slice(*sentence(text, start, text.index("Three") + 2))] == "Two has words. Three."
    assert sentence(text, 4, 5) == (4, 5)  # white space alone
    wrapped = "A heading\nIt goes\non here. Next."
    assert wrapped[slice(*sentence(wrapped, wrapped.index("goes"), wrapped.index("goes") + 4))] == "It goes\non here."
    for lines in (
        "서울은 수도이다\n한강이 흐른다",
        "ירושלים היא\nהעיר",
        "One\nÉté",
    ):  # scripts without capitals; one of them
        first, second = lines.split("\n")
        assert lines[slice(*sentence(lines, 0, 2))] == first
        assert lines[slice(*sentence(lines, len(lines) - 2, len(lines)))] == second
