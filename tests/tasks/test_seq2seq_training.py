"""Encoder–decoders trained and generated from by fairseq's own commands, alone and by two workers."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils
from helpers.processes import COMMANDS, environment_with

from fairseq_littlebird.checkpoints.tensors import load_tensors

OPTIONS = (
    *("--task", "translation", "--criterion", "label_smoothed_cross_entropy", "--label-smoothing", "0.1"),
    *("--optimizer", "adam", "--lr", "1e-3", "--dropout", "0", "--attention-dropout", "0", "--max-positions", "64"),
    *("--decoder-max-positions", "32", "--batch-size", "4", "--cpu", "--no-epoch-checkpoints", "--log-format", "none"),
    *("--max-source-positions", "64", "--disable-validation", "--num-workers", "0"),
)


@pytest.fixture(scope="module")
def data(once: Callable[..., Path], forks: Any) -> Path:
    """Binarized pairs: a target is the four tokens after the mark."""

    def make(folder: Path) -> None:
        rng = random.Random(0)
        for split, count in (("train", 64), ("valid", 6)):
            source, target = [], []
            for _ in range(count):
                words = [f"w{rng.randrange(12)}" for _ in range(rng.randint(5, 30))]
                at = rng.randrange(len(words) - 3)
                source.append(" ".join([*words[:at], "MARK", *words[at:]]) + "\n")
                target.append(" ".join(words[at : at + 4]) + "\n")
            (folder / f"{split}.src").write_text("".join(source))
            (folder / f"{split}.tgt").write_text("".join(target))
        arguments = ["-s", "src", "-t", "tgt", "--joined-dictionary", "--trainpref", "train", "--validpref", "valid"]
        done = forks.run([COMMANDS / "fairseq-preprocess", *arguments, "--destdir", "data"], cwd=folder)
        assert done.returncode == 0, done.stderr

    return once("pairs", make) / "data"


def train(forks: Any, data: Path, arch: str, save_dir: Path, updates: int, *more: str) -> dict[str, Any]:
    """The checkpoint of a training."""
    words = [COMMANDS / "littlebird-launch", data, "--arch", arch, *OPTIONS, "--save-dir", save_dir]
    done = forks.run([*words, "--max-update", str(updates), *more], cwd=save_dir.parent)
    assert done.returncode == 0, done.stderr
    return load_tensors(save_dir / "checkpoint_last.pt")


def assert_equal(one: dict[str, Any], other: dict[str, Any], **tolerance: float) -> None:
    assert one["model"].keys() == other["model"].keys()
    for key, value in one["model"].items():
        torch.testing.assert_close(value, other["model"][key], **(tolerance or {"atol": 0.0, "rtol": 0.0}), msg=key)


@pytest.mark.slow
def test_two_workers_and_a_resumed_training_are_one(forks: Any, data: Path, tmp_path: Path) -> None:
    """With parameters of two sides that are the same: they stay so, and get one gradient, of both."""
    arch = "bigbird_roberta_tiny"
    whole = train(forks, data, arch, tmp_path / "whole", 4, "--update-freq", "2")
    train(forks, data, arch, tmp_path / "resumed", 2, "--update-freq", "2")
    resumed = train(forks, data, arch, tmp_path / "resumed", 4, "--update-freq", "2")
    assert_equal(whole, resumed)
    words = [COMMANDS / "torchrun", "--no-python", "--standalone", "--nproc_per_node=2", COMMANDS / "littlebird-launch"]
    more = ["--arch", arch, *OPTIONS, "--save-dir", tmp_path / "pair", "--max-update", "4"]
    subprocess.run([*map(str, [*words, data, *more])], cwd=tmp_path, env=environment_with({}), check=True)
    assert_equal(whole, load_tensors(tmp_path / "pair" / "checkpoint_last.pt"), atol=1e-5, rtol=1e-4)
    models, _, _ = checkpoint_utils.load_model_ensemble_and_task([str(tmp_path / "whole" / "checkpoint_last.pt")])
    model = models[0]
    for theirs, layer in zip(model.encoder.layers, model.decoder.layers, strict=True):
        assert layer.self_attn.k_proj is theirs.attention.k
        assert layer.fc1 is theirs.ffn.fc1
    state = whole["model"]
    for n in range(2):
        for ours, own in (("attention.v", "self_attn.v_proj"), ("ffn.fc2", "fc2"), ("ffn_norm", "final_layer_norm")):
            assert torch.equal(state[f"encoder.layers.{n}.{ours}.weight"], state[f"decoder.layers.{n}.{own}.weight"])


def test_fairseq_generates(forks: Any, data: Path, tmp_path: Path) -> None:
    """``translation`` pads sources on the left unless it is told otherwise."""
    train(forks, data, "littlebird_seq2seq_tiny", tmp_path / "model", 2)
    words = [COMMANDS / "fairseq-generate", data, "--user-dir", Path(__file__).parents[2] / "fairseq_littlebird"]
    words += ["--task", "translation", "--path", tmp_path / "model" / "checkpoint_last.pt", "--gen-subset", "valid"]
    words += ["--batch-size", "2", "--required-batch-size-multiple", "1"]
    for more in (["--beam", "4"], ["--beam", "3", "--print-alignment"]):
        done = forks.run([*words, *more, "--cpu"], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert sum(line.startswith("H-") for line in done.stdout.splitlines()) == 6
        assert ("\nA-" in done.stdout) == ("--print-alignment" in more)
