"""The documents of the benchmark of data sizes, and its way of adding up memory."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

import pytest

from fairseq_littlebird.datasets.question_files import read_questions
from fairseq_littlebird.text.tokenizers import dictionary_text, load_tokenizer
from fairseq_littlebird.text.training import train_sentencepiece

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "experiments" / "data_size.py"


@pytest.fixture(scope="module")
def benchmark(script):
    return script("scripts/experiments/data_size.py")


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A folder with a text, and the folder of a tokenizer made from it."""
    folder = tmp_path_factory.mktemp("texts")
    line = "The {} river ran\npast a village of {} houses,\nand nobody there had ever asked why, he said."
    text = "\n\n".join(line.format("wide deep old slow".split()[n % 4], n) for n in range(60))
    (folder / "text.txt").write_text(text, "utf-8")
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    train_sentencepiece([folder / "text.txt"], 80, tokenizer / "sentencepiece.model", "bpe", byte_fallback=False)
    (tokenizer / "dict.txt").write_text(dictionary_text(load_tokenizer(tokenizer)), "utf-8")
    return folder, tokenizer


def test_documents(benchmark, texts, tmp_path):
    folder, tokenizer = texts
    for name in ("a", "b"):
        options = Namespace(documents=4, tokens=1000, text=folder, tokenizer=tokenizer, out=tmp_path / name, seed=1)
        benchmark.make(options)
    a, b = (tmp_path / name / "documents.json" for name in ("a", "b"))
    assert a.read_bytes() == b.read_bytes()
    examples = list(read_questions("squad", a))
    assert len(examples) == len({e.document for e in examples}) == len({e.id for e in examples}) == 4
    for example in examples:
        (answer,) = example.answers
        assert example.document.startswith(answer.text, answer.start)
        assert example.document.count(example.question[len("What is ") : -1].replace("the word", "The word")) == 1
        assert len(load_tokenizer(tokenizer).tokenize(example.document)) == pytest.approx(1000, abs=100)


@pytest.fixture
def rows(script, forks, monkeypatch, capsys):
    """``rows(name, *words)``: what stands first in the rows of the table that a script prints.

    The commands that it measures run in forks, so that their memory is not known.
    """

    def printed(words):
        done = forks.run(words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(name, *words):
        module = script(f"scripts/experiments/{name}")
        measure = {
            "data_size.py": ("watched", lambda words: (printed(words), module.Memory(1, 1))),
            "soak.py": ("spend", lambda words: (float(bool(printed(words))), 1.0)),
        }
        monkeypatch.setattr(module, *measure[name])
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        with suppress(SystemExit):
            module.main()
        shown, errors = capsys.readouterr()
        assert shown.startswith("|") or "\n|" in shown, errors
        return [line.split("|")[1].strip(" `") for line in shown.splitlines() if line.startswith("|")][2:]

    return rows


def test_tables_of_a_tiny_data_set(benchmark, rows, texts, tmp_path):
    folder, tokenizer = texts
    benchmark.make(Namespace(documents=3, tokens=300, text=folder, tokenizer=tokenizer, out=tmp_path, seed=1))
    own = "--workers 1 2 --rounds 1 --max-tokens 128 --stride 100".split()
    found = rows("data_size.py", "prepare", "--tokenizer", tokenizer, "--out", tmp_path, *own)
    assert found == ["tokenizer alone", "prepare, 1 worker", "prepare, 2 workers"]
    assert rows("data_size.py", "train", "--updates", 12, "--batch", 2, "--out", tmp_path) == ["fairseq-train"]
    assert rows("data_size.py", "predict", "--out", tmp_path) == ["littlebird-predict"]
    reader = ["--tokenizer", tokenizer, "--path", tmp_path / "model" / "checkpoint_last.pt"]
    own = ["--text", folder / "text.txt", "--out", tmp_path / "lengths", "--lengths", 1, 50, "--tokens", 60]
    assert rows("soak.py", "lengths", *reader, *own) == ["1", "50"]
    settings = json.loads((tmp_path / "qa" / "prepared.json").read_text("utf-8"))
    assert settings["splits"]["train"]["kept"] == 3


def test_tables_of_holes(rows, tmp_path):
    assert rows("data_size.py", "open", "--examples", 40, "--out", tmp_path) == [
        "littlebird_masked_lm",
        "recurring_span_selection",
        "question_answering",
        "littlebird_sentence_prediction",
    ]


def test_memory_of_all_processes(benchmark, script):
    hold = "import time; block = bytearray(64 << 20); time.sleep(1.5)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}]); print('done')"
    said, peak = benchmark.watched([sys.executable, "-c", child])
    assert said == "done\n"
    assert 64 < peak.anonymous <= peak.total < 200
    with pytest.raises(SystemExit, match="broken"):
        benchmark.watched([sys.executable, "-c", "raise SystemExit('broken')"])
    spend = script("scripts/experiments/soak.py").spend
    seconds, peak = spend([sys.executable, "-c", "block = bytearray(64 << 20); sum(range(2_000_000))"])
    assert seconds > 0 and 64 < peak < 200
    with pytest.raises(SystemExit, match="broken"):
        spend([sys.executable, "-c", "raise SystemExit('broken')"])
