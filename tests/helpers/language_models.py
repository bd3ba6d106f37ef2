"""Texts of characters, and a language model trained on them, that several folders of tests use."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fairseq_littlebird.cli.prepare import main as prepare

SIZES = """--arch longformer_lm_tiny --decoder-layers 2 --decoder-embed-dim 32 --decoder-ffn-embed-dim 48
    --decoder-attention-heads 2 --attention-window 8-16""".split()
TRAINING = """--criterion cross_entropy --cpu --optimizer adam --lr 5e-3 --batch-size 16 --no-epoch-checkpoints
    --log-format json --log-interval 1 --num-workers 1""".split()
TASK = "--task littlebird_language_modeling --tokens-per-sample 64".split()


@pytest.fixture(scope="session")
def characters(tiny: Path, once: Callable[..., Path]) -> Path:
    """``data`` of ``littlebird-prepare characters``; ``shard2`` and ``shard3`` have other training texts."""

    def make(folder: Path) -> None:
        text = (tiny / "text.train.txt").read_text("utf-8")
        parts = {"data": text[:9000], "shard2": text[9000:9731], "shard3": text[9731:12000]}
        held_out = (tiny / "text.valid.txt").read_text("utf-8")
        (folder / "valid.txt").write_text(held_out[:1500], "utf-8")
        (folder / "test.txt").write_text(held_out[1500:2111], "utf-8")
        for name, part in parts.items():
            (folder / f"{name}.txt").write_text(part, "utf-8")
        files = ["--input", f"{folder}/data.txt", "--valid", f"{folder}/valid.txt", "--test", f"{folder}/test.txt"]
        prepare(["characters", *files, "--destdir", f"{folder}/data"])
        for name in ("shard2", "shard3"):
            known = ["--dict", f"{folder}/data/dict.txt", "--destdir", f"{folder}/{name}"]
            prepare(["characters", "--input", f"{folder}/{name}.txt", *known])

    return once("characters", make)


@pytest.fixture(scope="session")
def train_lm(fairseq: Callable[..., Any]) -> Callable[..., Any]:
    """``train_lm(data, save_dir, updates, *more)``: fairseq-train with a small language model."""

    def train_lm(data: Path | str, save_dir: Path, updates: int, *more: Any, **how: Any) -> Any:
        own = [data, *TASK, *SIZES, *TRAINING, "--save-dir", save_dir, "--max-update", updates, *more]
        return fairseq("train", *own, **how)

    return train_lm


@pytest.fixture(scope="session")
def character_model(characters: Path, train_lm: Callable[..., Any], once: Callable[..., Path]) -> Path:
    """A folder with a checkpoint after a few updates, and beside it ``printed``, what the training printed."""

    def make(folder: Path) -> None:
        done = train_lm(characters / "data", folder, 20)
        (folder / "printed").write_text(done.stdout, "utf-8")

    return once("character_model", make)


@pytest.fixture
def changed(character_model: Path, tmp_path: Path) -> Callable[..., Path]:
    """``changed(change)``: a checkpoint after ``change(content)``."""

    def changed(change: Callable[[dict[str, Any]], Any]) -> Path:
        content = torch.load(character_model / "checkpoint_last.pt", weights_only=True)
        change(content)
        torch.save(content, tmp_path / "changed.pt")
        return tmp_path / "changed.pt"

    return changed


def bare(characters: Path, folder: Path) -> Path:
    """The data without its tokenizer and prepared.json."""
    folder.mkdir()
    for name in ("dict.txt", "test.bin", "test.idx"):
        shutil.copyfile(characters / "data" / name, folder / name)
    return folder


def as_fairseqs(data: Path) -> Callable[[dict[str, Any]], None]:
    """What makes a checkpoint look as if fairseq's own task had trained it on a folder."""

    def change(content: dict[str, Any]) -> None:
        del content["task_state"]
        content["cfg"]["task"] = {"_name": "language_modeling", "data": f"{data}", "tokens_per_sample": 64}

    return change
