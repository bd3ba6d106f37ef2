"""The three steps from a tiny random BERT and small texts, with two updates each."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
SHORT = "--short-length 64 --head-updates 2 --distil-updates 2 --rss-updates 2 --longer-updates 2 --batch-tokens 256"
TRAININGS = "head", "distilled", "rss-64", "rss-128", "rss-256"


def reuse(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [str(ROOT / "scripts" / "reuse.sh"), *map(str, arguments)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)


def test_steps_1_to_3(environment, bert, tiny, tmp_path):
    out = tmp_path / "out"
    given = ["--from", bert, "--text", tiny / "text.train.txt", "--valid", tiny / "text.valid.txt", "--out", out]
    own = [*SHORT.split(), "--lengths", "128,256", "--pack-size", 8, "--block-size", 16, "--padding-insertion", "--"]
    own.append("--cpu")
    done = reuse(environment, *given, *own)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    checkpoints = {n: torch.load(out / n / "checkpoint_last.pt", weights_only=True) for n in TRAININGS}
    for name, checkpoint in checkpoints.items():
        assert checkpoint["optimizer_history"][-1]["num_updates"] == 2
        assert checkpoint["cfg"]["task"]["padding_insertion"] == (name != "head")
        assert re.search(rf"^  {name} +loss [0-9.]+ ", done.stdout, re.MULTILINE)
    # the student starts from the source's own weights and the teacher's new head
    start = torch.load(out / "student" / "checkpoint.pt", weights_only=True)["model"]
    head = checkpoints["head"]["model"]
    assert torch.equal(start["encoder.layers.1.attention.q.weight"], head["encoder.layers.1.attention.q.weight"])
    assert torch.equal(start["lm_head.dense.weight"], head["lm_head.dense.weight"])
    assert start["encoder.pack"].shape == (8, 32)
    assert (out / "student" / "vocab.txt").read_bytes() == (bert / "vocab.txt").read_bytes()
    assert (out / "student" / "dict.txt").read_bytes() == (out / "text-bin" / "dict.txt").read_bytes()
    # each training starts where the one before ended: nothing moves further than two updates carry it
    query = "encoder.layers.1.attention.q.weight"
    states = [start, *(checkpoints[name]["model"] for name in TRAININGS[1:])]
    for before, after in zip(states, states[1:], strict=False):
        moved = (after[query] - before[query]).abs().max()
        assert 0 < moved < 1e-3

    # the same command again has nothing left to do; another one is refused
    times = [(out / name / "checkpoint_last.pt").stat().st_mtime_ns for name in TRAININGS]
    again = reuse(environment, *given, *own)
    assert again.returncode == 0 and "+ fairseq-train" not in again.stdout and "+ littlebird" not in again.stdout
    assert times == [(out / name / "checkpoint_last.pt").stat().st_mtime_ns for name in TRAININGS]
    other = reuse(environment, *given, "--lr", "1")
    assert other.returncode == 2 and "other arguments" in other.stderr


def test_hidden_states_of_a_source_without_a_head_at_512_tokens_alone(environment, bert, tiny, tmp_path):
    given = ["--from", bert, "--text", tiny / "text.train.txt", "--valid", tiny / "text.valid.txt"]
    own = [*SHORT.split(), "--head-updates", 0, "--longer-updates", 0, "--out", tmp_path, "--", "--cpu"]
    done = reuse(environment, *given, *own)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert {path.parent.name for path in tmp_path.glob("*/checkpoint_last.pt")} == {"distilled", "rss-64"}
    distilled, spans = (
        torch.load(tmp_path / name / "checkpoint_last.pt", weights_only=True)["cfg"] for name in ("distilled", "rss-64")
    )
    criterion = distilled["criterion"]
    assert (criterion["soft_weight"], criterion["hidden_weight"], criterion["attention_weight"]) == (0.0, 5.0, 1.0)
    assert [cfg["optimizer"]["slopes_lr_scale"] for cfg in (distilled, spans)] == [200, 20]
    assert not distilled["task"]["padding_insertion"] and not spans["task"]["padding_insertion"]
    (measured,) = re.findall(r"^  distilled +(loss .*)$", done.stdout, re.MULTILINE)
    assert re.sub(r" [0-9.]+ *", "", measured).split(",") == ["loss", " hidden_loss", " attention_loss"]


def test_masked_tokens_without_distillation(environment, bert, tiny, tmp_path):
    given = ["--from", bert, "--text", tiny / "text.train.txt", "--out", tmp_path / "out", "--objective", "mlm"]
    own = [*SHORT.split(), "--distil-updates", 0, "--lengths", 128, "--", "--cpu"]
    done = reuse(environment, *given, *own)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("+ ")] == [
        "littlebird-warm-start",
        "littlebird-prepare",
        "fairseq-preprocess",
        "littlebird-warm-start",
        "fairseq-train",
    ]
    settings = torch.load(tmp_path / "out" / "mlm-128" / "checkpoint_last.pt", weights_only=True)["cfg"]["task"]
    assert settings["_name"] == "littlebird_masked_lm" and settings["padding_insertion"] is False


def test_from_modernbert(environment, modernbert, tiny, tmp_path):
    """It has a head, and reads more than 512 tokens; the student has its form."""
    given = ["--from", modernbert, "--text", tiny / "text.train.txt", "--out", tmp_path / "out", "--objective", "mlm"]
    own = [*SHORT.split(), "--short-length", 600, "--lengths", 700, "--pack-size", 8, "--block-size", 16, "--", "--cpu"]
    done = reuse(environment, *given, *own)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "training one" not in done.stdout
    names = "distilled/checkpoint_last.pt", "mlm-700/checkpoint_last.pt", "student/checkpoint.pt"
    last, longer, start = (torch.load(tmp_path / "out" / name, weights_only=True) for name in names)
    assert last["cfg"]["criterion"]["_name"] == "littlebird_distillation"
    assert last["cfg"]["task"]["tokens_per_sample"] == 600
    assert longer["cfg"]["model"]["gated_feed_forward"] and longer["cfg"]["model"]["bias_free"]
    assert {*longer["model"]} == {*start["model"]} and "encoder.layers.1.pack_norm.weight" in start["model"]
    key = "encoder.layers.3.ffn.fc1.weight"
    assert 0 < (longer["model"][key] - start["model"][key]).abs().max() < 1e-3


def test_bad_arguments_are_one_line(environment, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    good = ["--from", tmp_path, "--text", __file__, "--out", tmp_path / "out"]
    cases = [[], ["--what", "x"], ["--from"], [*good, "--lengths", "2k"], [*good, "--objective", "clm"],
             [*good, "--text", tmp_path / "none.txt"], [*good, "--from", tmp_path / "none"],
             [*good, *"--distil-updates 0 --rss-updates 0 --longer-updates 0".split()],
             [*good, "--distil-updates", "-1"],
             [*good, "--out", tmp_path / "mine"]]  # fmt: skip
    for arguments in cases:
        done = reuse(environment, *arguments)
        assert done.returncode == 2 and done.stderr.startswith("reuse: ") and len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]
