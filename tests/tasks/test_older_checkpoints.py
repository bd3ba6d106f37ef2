"""A checkpoint of an older version, whose parameters have other names: every command that loads one says so."""

from __future__ import annotations

import re

import pytest
import torch
from helpers.processes import PACKAGE
from helpers.training import SIZES, TASKS, TRAINING

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.pipelines.littlebird import LittleBird

USER = ["--user-dir", f"{PACKAGE}"]
FULL = "--arch roberta_full_tiny --encoder-layers 2 --encoder-embed-dim 32 --encoder-attention-heads 2"


def training(task):
    return [*TASKS[task].split(), *SIZES, *TRAINING, *USER, "--max-update", "2"]


# the command, and whose checkpoint it gets
COMMANDS = {
    "train, resumed": ("lm", ["fairseq-train", *training("littlebird_masked_lm"), "--save-dir", "{folder}"]),
    "train, from a model": (
        "lm",
        ["fairseq-train", *training("question_answering"), "--save-dir", "{new}", "--finetune-from-model", "{file}"],
    ),
    "train, with a teacher": (
        "full",
        ["fairseq-train", *training("littlebird_masked_lm"), "--save-dir", "{new}"]
        + ["--criterion", "littlebird_distillation", "--attention-weight", "0", "--teacher-path", "{file}"],
    ),
    "launch": ("lm", ["littlebird-launch", *training("littlebird_masked_lm"), "--save-dir", "{folder}"]),
    "validate": (
        "lm",
        ["fairseq-validate", "text", "--task", "littlebird_masked_lm", *USER, "--path", "{file}", "--cpu"]
        + ["--batch-size", "4"],
    ),
    "predict": ("qa", ["littlebird-predict", "questions", "--path", "{file}", "--output", "{new}"]),
    "warm start": ("full", ["littlebird-warm-start", "--from", "{file}", "--out", "{new}"]),
    "export to transformers": ("qa", ["littlebird-export", "hf", "{file}", "{new}"]),
    "export to ONNX": ("qa", ["littlebird-export", "onnx", "{file}", "{new}"]),
    "benchmark": (
        "full",
        "littlebird-benchmark heatmap text --teacher {file} --student {file} --plot {new}.png".split(),
    ),
}


@pytest.fixture(scope="module")
def older(train, train_other, tmp_path_factory):
    """Of masked language modelling, also of full attention, and of question answering, with the names before 0.1.0."""
    folders = {}
    for name, task in (("lm", "littlebird_masked_lm"), ("full", "littlebird_masked_lm"), ("qa", "question_answering")):
        folders[name] = tmp_path_factory.mktemp(name)
        if name == "full":
            train_other(task, FULL, folders[name], 1)
        else:
            train(task, folders[name], 1)
        (folders[name] / "checkpoint_best.pt").unlink()
        path = folders[name] / "checkpoint_last.pt"
        content = torch.load(path, weights_only=True)
        content["model"] = {
            re.sub(r"(layers\.\d+)\.attention\.", r"\1.", key).replace("embeddings.tokens", "embeddings.words"): value
            for key, value in content["model"].items()
        }
        assert any(".embeddings.words." in key for key in content["model"])
        torch.save(content, path)
    return folders


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_one_line(name, older, tiny, commands, forks, tmp_path):
    kind, command = COMMANDS[name]
    file = older[kind] / "checkpoint_last.pt"
    words = [word.format(folder=older[kind], file=file, new=tmp_path / "new") for word in command]
    done = forks.run([commands / words[0], *words[1:]], cwd=tiny)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr[-3000:]
    last = done.stderr.strip().splitlines()[-1]
    place = "the checkpoint" if name == "validate" else str(file)  # fairseq hands on no more than the tensors
    assert last.startswith(f"{words[0]}: {place}: ") and "older version" in last
    assert not list(tmp_path.rglob("*.*"))


def test_in_a_program(older):
    with pytest.raises(UserError, match="older version"):
        LittleBird.from_pretrained(older["qa"], device="cpu")
