"""The folders for the comparison of architectures, from small files and from Python's own documentation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_littlebird.data.prepared import PreparedQuestions, read_settings

ROOT = Path(__file__).resolve().parents[2]


def quality_data(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "LITTLEBIRD_VENV"}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    words = [str(ROOT / "scripts" / "quality_data.sh"), *map(str, arguments)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)


def test_from_given_files(tiny, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    (data / "squad").mkdir(parents=True)
    (data / "text_en").mkdir()
    for split in ("train", "valid"):
        shutil.copy(tiny / f"text.{split}.txt", data / "text_en")
    articles = json.loads((tiny / "train.json").read_text())["data"]
    for name, part in (("train", articles[:6]), ("train_xquad_en", articles[6:8]), ("dev", articles[8:])):
        (data / "squad" / f"{name}.json").write_text(json.dumps({"version": "v2.0", "data": part}))
    done = quality_data("--data", data, "--out", out, "--vocab-size", 350, "--max-tokens", 256)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for name in ("text/train.bin", "text/valid.bin", "text/dict.txt", "corpus/test.json"):
        assert (out / name).exists()
    settings = read_settings(out / "questions")
    assert (settings["max_tokens"], settings["stride"]) == (256, 128)
    for split, count in (("train", 21), ("valid", 3), ("test", 6)):  # three of a text's four questions have an answer
        prepared = PreparedQuestions(out / "questions", split)
        assert len(prepared) == count
        assert all(prepared.example(n)[0].answers for n in range(count))
    again = quality_data("--data", data, "--out", out)
    assert again.returncode == 2 and again.stderr == f"quality_data: {out}: is there; choose another with --out\n"


def test_test_questions_are_drawn_evenly(forks, tmp_path):
    spans = [{"text": "a", "answer_start": 0}]
    for name in ("train", "test"):
        paragraphs = [
            {
                "context": "a",
                "qas": [{"id": f"{n}-{m}", "question": "b", "answers": spans if m else []} for m in range(3)],
            }
            for n in range(6)
        ]
        articles = [{"title": f"{n}", "paragraphs": [paragraphs[n]]} for n in range(6)]
        (tmp_path / f"{name}.json").write_text(json.dumps({"version": "v2.0", "data": articles}))
    words = [sys.executable, ROOT / "scripts" / "split_questions.py", "--data", tmp_path / "train.json"]
    words += ["--test", tmp_path / "test.json", "--answerable", "--test-questions", "4", "--out", tmp_path / "out"]
    assert forks.run(words).returncode == 0
    found = json.loads((tmp_path / "out" / "test.json").read_text())
    kept = [q["id"] for article in found["data"] for paragraph in article["paragraphs"] for q in paragraph["qas"]]
    assert kept == ["0-1", "1-2", "3-1", "4-2"] and found["version"] == "1.1"


@pytest.mark.parametrize("arguments", [["--what", "x"], ["--out"], [], ["--out", "x", "--data", "/nowhere"]])
def test_bad_arguments_are_one_line(arguments):
    done = quality_data(*arguments)
    assert done.returncode == 2 and done.stderr.startswith("quality_data: ") and len(done.stderr.splitlines()) == 1
