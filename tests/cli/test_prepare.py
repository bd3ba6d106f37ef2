from __future__ import annotations

import json
import os
import pydoc_data.topics
import re
import subprocess
from pathlib import Path

import pytest
from fairseq.data import Dictionary

from fairseq_littlebird.cli.prepare import main
from fairseq_littlebird.text import lines
from fairseq_littlebird.text.tokenizers import UNKNOWN, load_tokenizer


def fails(capsys, *arguments) -> str:
    """The one line of a command that must end with status 2."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    output = capsys.readouterr()
    (line,) = [line for line in output.err.splitlines() if line.startswith("littlebird-prepare: ")]
    assert output.out == "" and "Traceback" not in output.err
    return line


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "topics.txt"
    path.write_text("\n\n".join(list(pydoc_data.topics.topics.values())[:25]), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory, corpus) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "tokenizer"
    main(["tokenizer", "--input", str(corpus), "--vocab-size", "500", "--destdir", str(folder)])
    return folder


def squad_file(path: Path, context="A value.", **more) -> Path:
    qas = [{"id": "a", "question": "What?", "answers": [{"text": "value", "answer_start": 2} | more]}]
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    return path


def test_from_text_to_fairseqs_own_binaries(tmp_path, corpus, trained, commands, forks, capsys):
    assert sorted(path.name for path in trained.iterdir()) == ["dict.txt", "sentencepiece.model"]
    dictionary = Dictionary.load(str(trained / "dict.txt"))
    # 500 pieces: <unk>, <s> and </s> are the dictionary's own, <pad> and [QUESTION] come on top
    assert len(dictionary) == 500 + 2 and dictionary[len(dictionary) - 1] == "[QUESTION]"
    text = ["--input", str(corpus), "--output", str(tmp_path / "train.txt"), "--workers", "2"]
    main(["text", "--tokenizer", str(trained), *text])
    assert "0.000% unknown" in capsys.readouterr().out
    arguments = ["--only-source", "--srcdict", trained / "dict.txt", "--trainpref", tmp_path / "train.txt"]
    arguments += ["--destdir", tmp_path / "bin", "--workers", 1]
    done = forks.run([commands / "fairseq-preprocess", *arguments])
    assert done.returncode == 0, done.stderr
    assert "0.0% replaced" in done.stdout + done.stderr
    assert (tmp_path / "bin" / "train.bin").stat().st_size > 0


def test_lines_and_documents_stay(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(lines, "LONGEST_LINE", 7)
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    long = "The statement is a value and a name"
    one.write_bytes(f"A value.\r\n  \t\n\n\u200b\n{long}\n".encode())
    two.write_text("last\u2028one [QUESTION]")
    output = tmp_path / "symbols.txt"
    main(["text", "--tokenizer", str(trained), "--input", str(one), str(two), "--output", str(output)])
    tokenizer = load_tokenizer(trained)
    symbols = tokenizer.tokenize(long)
    broken = [symbols[i : i + 7] for i in range(0, len(symbols), 7)]
    assert len(broken) > 1
    expected = [tokenizer.tokenize("A value."), [], [], [UNKNOWN], *broken, []]
    last = tokenizer.tokenize("last\u2028one [QUESTION]")
    expected += [last[i : i + 7] for i in range(0, len(last), 7)]
    text = output.read_text(encoding="utf-8")
    assert [line.split(" ") if line else [] for line in text.split("\n")] == [*expected, []]
    assert "[QUESTION]" not in text.split()


def test_text_is_the_same_for_any_number_of_workers(tmp_path, corpus, trained, monkeypatch):
    monkeypatch.setattr(lines, "_BATCH", 500)
    for workers in "13":
        output = str(tmp_path / workers)
        main(
            [
                "text",
                "--tokenizer",
                str(trained),
                "--input",
                str(corpus),
                "--output",
                output,
                "--workers",
                workers,
            ]
        )
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()


def test_bad_questions_are_left_out_counted_and_named(tmp_path, trained, capsys):
    file = squad_file(tmp_path / "train.json")
    content = json.loads(file.read_text())
    (paragraph,) = content["data"][0]["paragraphs"]
    paragraph["qas"].append({"id": "b", "question": "What?", "answers": [{"text": "value", "answer_start": "x"}]})
    content["data"][0]["paragraphs"].append({"context": None, "qas": []})
    file.write_text(json.dumps(content))
    arguments = ["qa", "--dataset", "squad", "--train", file, "--tokenizer", trained, "--dict", trained / "dict.txt"]
    arguments = [str(argument) for argument in (*arguments, "--destdir", tmp_path / "out")]
    line = fails(capsys, *arguments)
    assert "question 2 (id b): " in line and "'answer_start'" in line
    assert line.endswith(" --skip-bad")
    main([*arguments, "--skip-bad"])
    printed = capsys.readouterr()
    assert "train: 1 questions on 1 documents" in printed.out
    assert re.search("^train: 2 bad records .*report.jsonl$", printed.out, re.MULTILINE)
    bar = r"train: 1 questions .* [1-9][\d,]* characters, [\d,]+ per second\]"
    assert re.search(bar, printed.err)
    lines = [json.loads(line) for line in (tmp_path / "out" / "report.jsonl").read_text().splitlines()]
    bad = [line["what"] for line in lines if line["what"].startswith("bad record left out: ")]
    places = ["paragraph 1, question 2 (id b): ", "paragraph 2: "]
    assert [f"{file}, article 1, {place}" in what for place, what in zip(places, bad, strict=True)] == [True, True]
    assert all(line["split"] == "train" for line in lines)


def test_bad_texts_are_left_out_counted_and_named(tmp_path, trained, capsys):
    file = tmp_path / "train.jsonl"
    texts = [{"text": "A value.", "label": "x"}, {"txt": "A value."}, {"text": "A name.", "label": "y"}]
    file.write_text("\n".join(map(json.dumps, texts)))
    arguments = ["classification", "--train", file, "--tokenizer", trained, "--dict", trained / "dict.txt"]
    arguments = [str(argument) for argument in (*arguments, "--destdir", tmp_path / "out")]
    line = fails(capsys, *arguments)
    assert f"{file}, line 2: " in line and "'text'" in line
    main([*arguments, "--skip-bad"])
    out = capsys.readouterr().out
    assert "train: 2 texts" in out and "train: 1 bad records" in out and f"{file}, line 2: " in out
    assert len(json.loads((tmp_path / "out" / "train.gold.json").read_text())) == 2


@pytest.mark.parametrize("command", ["qa", "classification", "text", "tokenizer"])
def test_standard_input_twice(tmp_path, trained, capsys, command):
    words = ["--tokenizer", trained, "--dict", trained / "dict.txt", "--destdir", tmp_path / "out"]
    arguments = {
        "qa": ["qa", "--dataset", "squad", "--train", "-", "--valid", "-", *words],
        "classification": ["classification", "--train", "-", "-", *words],
        "text": ["text", "--tokenizer", trained, "--input", "-", "-", "--output", tmp_path / "out"],
        "tokenizer": ["tokenizer", "--input", "-", "-", "--destdir", tmp_path / "out"],
    }[command]
    line = fails(capsys, *arguments)
    assert line.startswith("littlebird-prepare: -: ")
    assert not (tmp_path / "out").exists()


def test_existing_vocabularies(tmp_path, data_dir, capsys):
    pytest.importorskip("tokenizers")
    vocab = data_dir / "vocab"
    main(["tokenizer", "--from", str(vocab / "koelectra_vocab.txt"), "--destdir", str(tmp_path / "ko")])
    pieces = (vocab / "koelectra_vocab.txt").read_text(encoding="utf-8").split("\n")
    symbols = Dictionary.load(str(tmp_path / "ko" / "dict.txt")).symbols
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ""}
    assert symbols[4:] == [piece for piece in pieces if piece not in special] + ["[QUESTION]"]
    main(["tokenizer", "--from", str(vocab / "gpt2_bpe"), "--destdir", str(tmp_path / "gpt2")])
    original = (vocab / "gpt2_bpe" / "dict.txt").read_text().splitlines()
    assert (tmp_path / "gpt2" / "dict.txt").read_text().splitlines() == [*original, "<mask> 0", "[QUESTION] 0"]
    assert load_tokenizer(tmp_path / "gpt2").tokenize("Hello world") == ["15496", "995"]


def test_questions_and_their_summary(tmp_path, trained, commands, forks, capsys):
    file = squad_file(tmp_path / "f.json")
    arguments = ["--tokenizer", trained, "--dict", trained / "dict.txt", "--destdir", tmp_path / "out"]
    words = [commands / "littlebird-prepare", "qa", "--dataset", "squad", "--train", file, "--test", file, *arguments]
    done = forks.run([*words, "--workers", 2])
    assert done.returncode == 0, done.stderr
    assert "train: 1 questions on 1 documents" in done.stdout
    assert "test: 1 windows" in done.stdout
    assert "--overwrite" in fails(capsys, "qa", "--dataset", "squad", "--train", file, *arguments)
    main(["qa", "--dataset", "squad", "--train", str(file), *map(str, arguments), "--overwrite"])
    assert not (tmp_path / "out" / "test.windows.bin").exists()


def test_bad_input_is_one_line_that_names_it(tmp_path, trained, corpus, capsys):
    out = tmp_path / "out"

    def qa(file, **options):
        given = {
            "dataset": "squad",
            "tokenizer": trained,
            "dict": trained / "dict.txt",
            "destdir": out,
        } | options
        flags = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
        return fails(capsys, "qa", "--train", file, *flags)

    good = squad_file(tmp_path / "good.json")
    latin = tmp_path / "latin.json"
    latin.write_bytes(b'{"data": "\xe9"}')
    assert f"{latin}, line 1: not UTF-8" in qa(latin)
    assert "answer_start" in qa(squad_file(tmp_path / "f.json", answer_start="two"))
    assert "1 answer not found" in qa(squad_file(tmp_path / "f.json", text="none"))
    assert "1 empty context" in qa(squad_file(tmp_path / "f.json", context=""))
    assert "this is SQuAD's JSON" in qa(good, dataset="mrqa")
    assert "none.json" in qa(tmp_path / "none.json")
    assert "no such tokenizer" in qa(good, tokenizer=tmp_path / "none")
    assert "dict.txt" in qa(good, dict=tmp_path / "dict.txt")
    assert "not a dictionary" in qa(good, dict=corpus)
    assert "stride" in qa(good, stride=600)
    assert "not a folder" in qa(good, destdir=good)
    assert not out.exists()
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    output = tmp_path / "text"
    output.write_text("good")
    text = ["text", "--tokenizer", trained, "--output", output]
    assert "--overwrite" in fails(capsys, *text, "--input", corpus)
    assert "not UTF-8" in fails(capsys, *text, "--input", latin, "--overwrite")
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    assert "empty.txt: no text" in fails(capsys, *text, "--input", corpus, empty, "--overwrite")
    assert output.read_text() == "good"

    tokenizer = ["tokenizer", "--destdir", out]
    assert "no text" in fails(capsys, *tokenizer, "--input", empty)
    assert "vocab" in fails(capsys, *tokenizer, "--input", corpus, "--vocab-size", 100_000)
    assert not out.exists()


@pytest.mark.parametrize("command", [[], ["tokenizer"], ["text"], ["qa"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage: littlebird-prepare" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["tokenizer", "text"])
def test_text_from_a_pipe_is_read_to_its_end(command, tmp_path, corpus, trained, capsys):
    """More than a pipe holds, as ``<(zcat …)`` gives it."""
    assert corpus.stat().st_size > 65536

    def made(path) -> bytes:
        out = tmp_path / path.name
        if command == "tokenizer":
            main(["tokenizer", "--input", str(path), "--vocab-size", "500", "--destdir", str(out)])
            return (out / "sentencepiece.model").read_bytes()
        main(["text", "--tokenizer", str(trained), "--input", str(path), "--output", str(out)])
        return out.read_bytes()

    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe")
    writer = subprocess.Popen(["sh", "-c", f"cat {corpus} >{tmp_path}/in/pipe"])
    assert made(tmp_path / "in" / "pipe") == made(corpus)
    assert writer.wait() == 0


def test_a_pipe_that_would_be_read_twice_is_refused(tmp_path, corpus, trained, capsys):
    """Without opening it, which would wait for a writer."""
    pipe, file = tmp_path / "pipe.txt", squad_file(tmp_path / "f.json")
    os.mkfifo(pipe)
    common = ["--destdir", tmp_path / "out"]
    questions = ["qa", "--dataset", "squad", "--train", file, "--tokenizer", trained, *common]
    for command in (
        [*questions, "--dict", pipe],
        ["tokenizer", "--from", pipe, *common],
        ["text", "--tokenizer", pipe, "--input", corpus, "--output", tmp_path / "out"],
    ):
        assert f"{pipe}: " in fails(capsys, *command)
    assert not (tmp_path / "out").exists()
