"""The whole quickstart on a user's own small files, with a few updates."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from fairseq_littlebird.text.tokenizers import load_tokenizer

ROOT = Path(__file__).resolve().parents[2]


def quickstart(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [str(ROOT / "scripts" / "quickstart.sh"), *map(str, arguments)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)


def test_own_files(environment, tiny, tmp_path):
    out = tmp_path / "out"
    arguments = ["--data", tiny / "train.json", "--test", tiny / "valid.json", "--text", tiny / "text.train.txt"]
    short = ["--vocab-size", 350, "--rss-updates", 2, "--qa-updates", 2, "--join-articles", "--out", out]
    short += ["--max-answer-length", 4, "--workers", 2]
    done = quickstart(environment, *arguments, *short)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for command in (
        "littlebird-prepare",
        "fairseq-preprocess",
        "torchrun",
        "littlebird-predict",
        "littlebird-evaluate",
    ):
        assert f"+ {command} " in done.stdout
    n_best = json.loads((out / "predictions" / "nbest_predictions.json").read_text("utf-8"))
    tokenizer = load_tokenizer(out / "tokenizer")
    assert max(len(tokenizer.tokenize(c["text"])) for own in n_best.values() for c in own) in (
        4,
        5,
    )  # 5: a "▁" of its own
    assert (
        "page length" in done.stdout and "in place" in done.stdout and (out / "predictions" / "null_odds.json").exists()
    )


def test_bad_arguments_are_one_line(environment, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    cases = [["--data", __file__], ["--max-answer-length", "0"], ["--workers", "3"], ["--minutes", "x"],
             ["--minutes", "5", "--qa-updates", "5"], ["--what", "x"], ["--data"],
             ["--out", tmp_path / "mine"], ["--data", tmp_path / "none.json", "--text", __file__]]  # fmt: skip
    for arguments in cases:
        done = quickstart(environment, *arguments)
        assert done.returncode == 2 and done.stderr.startswith("quickstart: ") and len(done.stderr.splitlines()) == 1
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_fault_in_the_questions_shows_before_any_training(environment, tiny, tmp_path):
    content = json.loads((tiny / "train.json").read_text("utf-8"))
    content["data"][3]["paragraphs"][0]["qas"][0]["answers"][0]["answer_start"] = "two"
    (tmp_path / "mine.json").write_text(json.dumps(content))
    own = ["--data", tmp_path / "mine.json", "--test", tiny / "valid.json", "--text", tiny / "text.train.txt"]
    done = quickstart(environment, *own, "--vocab-size", 350, "--out", tmp_path / "out")
    assert done.returncode == 2 and "answer_start" in done.stderr.splitlines()[-1]
    assert "+ fairseq" not in done.stdout
    assert not (tmp_path / "out" / "text-bin").exists()
