"""Training runs of fairseq's commands on the tiny data, and the checkpoints that several folders of tests use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.processes import COMMANDS, PACKAGE, ForkServer

SIZES = """--arch littlebird_tiny --encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
    --encoder-attention-heads 2 --pack-size 8 --block-size 16""".split()
TRAINING = """--cpu --optimizer adam --lr 1e-3 --batch-size 16 --no-epoch-checkpoints --log-format json
    --log-interval 1 --num-workers 1""".split()
# the data folder first
TASKS = {
    "masked_lm": "text --task masked_lm --criterion masked_lm --tokens-per-sample 128",
    "littlebird_masked_lm": "text --task littlebird_masked_lm --criterion masked_lm --tokens-per-sample 128 "
    "--padding-insertion",
    "recurring_span_selection": "text --task recurring_span_selection --criterion recurring_span_selection "
    "--tokens-per-sample 128 --padding-insertion --sample-break-mode complete --shorten-method truncate",
    "question_answering": "questions --task question_answering --criterion question_answering --span-head qass "
    "--padding-insertion",
    "sentence_prediction": "classes --task sentence_prediction --criterion sentence_prediction --num-classes 2 "
    "--init-token 0 --required-batch-size-multiple 1",
    "littlebird_sentence_prediction": "classes --task littlebird_sentence_prediction --criterion sentence_prediction "
    "--num-classes 2 --padding-insertion",
}


@pytest.fixture(scope="session")
def fairseq(tiny: Path, forks: ForkServer) -> Callable[..., Any]:
    """``fairseq("train", *arguments)`` runs fairseq-train in the folder of tiny data.

    ``status`` is what it must return, None anything.
    """

    def run(name: str, *arguments: Any, status: int | None = 0, new_interpreter: bool = False) -> Any:
        words = [str(COMMANDS / f"fairseq-{name}"), *map(str, arguments)]
        if name != "hydra-train":
            words += ["--user-dir", str(PACKAGE)]
        done = forks.run(words, cwd=tiny, new_interpreter=new_interpreter)
        assert status is None or done.returncode == status, done.stdout[-2000:] + done.stderr[-4000:]
        return done

    return run


@pytest.fixture(scope="session")
def train(fairseq: Callable[..., Any]) -> Callable[..., Any]:
    """``train(task, save_dir, updates, *more)``: fairseq-train with a small model on the tiny data."""

    def train(task: str, save_dir: Path, updates: int, *more: Any, data: Path | None = None, **how: Any) -> Any:
        folder, *options = TASKS[task].split()
        own = [data or folder, *options, *SIZES, *TRAINING, "--save-dir", save_dir, "--max-update", updates, *more]
        return fairseq("train", *own, **how)

    return train


@pytest.fixture(scope="session")
def train_other(fairseq: Callable[..., Any]) -> Callable[..., Any]:
    """``train_other(task, options, save_dir, updates)``: the same with the model of the options, without gaps."""

    def train_other(task: str, options: str, save_dir: Path, updates: int) -> Any:
        own = [word for word in TASKS[task].split() if word != "--padding-insertion"]
        return fairseq("train", *own, *options.split(), *TRAINING, "--save-dir", save_dir, "--max-update", updates)

    return train_other


@pytest.fixture(scope="session")
def logged() -> Callable[..., list[dict[str, Any]]]:
    """``logged(done, "train_inner")``: the JSON objects that a run logged under a name."""

    def logged(done: Any, kind: str) -> list[dict[str, Any]]:
        marker = f"| {kind} | " if "| INFO |" in done.stdout else f"[{kind}][INFO] - "
        return [json.loads(line.split(marker, 1)[1]) for line in done.stdout.splitlines() if f"{marker}{{" in line]

    return logged


@pytest.fixture(scope="session")
def pretrained(train: Callable[..., Any], once: Callable[..., Path]) -> tuple[Path, Any]:
    """A run of recurring span selection over one epoch and a bit: its folder, and what it printed."""

    def make(folder: Path) -> None:
        (folder / "printed").write_text(train("recurring_span_selection", folder, 14).stdout, "utf-8")

    folder = once("pretrained", make)
    return folder, SimpleNamespace(stdout=(folder / "printed").read_text("utf-8"))


@pytest.fixture(scope="session")
def span_model(pretrained: tuple[Path, Any]) -> Path:
    """A checkpoint of recurring span selection."""
    return pretrained[0] / "checkpoint_last.pt"


@pytest.fixture(scope="session")
def qa_model(train: Callable[..., Any], once: Callable[..., Path]) -> Path:
    """A checkpoint of question answering after a few updates."""
    return once("qa_model", lambda folder: train("question_answering", folder, 12)) / "checkpoint_last.pt"


LANGUAGE_MODEL = """text --task language_modeling --tokens-per-sample 64 --criterion cross_entropy
    --arch longformer_lm_tiny --decoder-layers 2 --decoder-embed-dim 32 --decoder-ffn-embed-dim 48
    --decoder-attention-heads 2""".split()


@pytest.fixture(scope="session")
def train_language_model(fairseq: Callable[..., Any]) -> Callable[..., Any]:
    """``train_language_model(save_dir, updates, *more)``: fairseq-train with fairseq's task and a small model."""

    def train(folder: Path, updates: int, *more: Any, **how: Any) -> Any:
        own = [*LANGUAGE_MODEL, *TRAINING, "--lr", "5e-3", "--save-dir", folder, "--max-update", updates, *more]
        return fairseq("train", *own, **how)

    return train


@pytest.fixture(scope="session")
def language_model(train_language_model: Callable[..., Any], once: Callable[..., Path]) -> Path:
    """A folder with the checkpoint of a language model after a few updates, and what its training ``printed``."""
    return once(
        "language_model",
        lambda folder: (folder / "printed").write_text(train_language_model(folder, 12).stdout, "utf-8"),
    )


TEACHER = """--arch roberta_full_tiny --encoder-layers 4 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
    --encoder-attention-heads 2 --max-positions 136 --disable-validation""".split()


@pytest.fixture(scope="session")
def teacher(fairseq: Callable[..., Any], once: Callable[..., Path]) -> Callable[[str], Path]:
    """``teacher(task)``: the checkpoint of a full-attention model after a few updates."""

    def teacher(task: str) -> Path:
        own = [word for word in TASKS[task].split() if word != "--padding-insertion"]
        more = ["--lr", "3e-3", "--max-update", 12]
        folder = once(
            f"teacher-{task}", lambda path: fairseq("train", *own, *TEACHER, *TRAINING, *more, "--save-dir", path)
        )
        return folder / "checkpoint_last.pt"

    return teacher
