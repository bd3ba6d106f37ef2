"""A checkpoint that would run a command where it is unpickled: every command that loads one refuses it in one line."""

from __future__ import annotations

import configparser
import os

import pytest
import torch
from packaging.requirements import Requirement

import fairseq_littlebird

PACKAGE = os.path.dirname(fairseq_littlebird.__file__)
TRAIN = """text --task littlebird_masked_lm --arch littlebird_tiny --tokens-per-sample 128 --batch-size 4 --cpu
    --optimizer adam --max-update 1 --num-workers 0""".split()
USER = ["--user-dir", PACKAGE]
COMMANDS = {
    "train, resumed": ["fairseq-train", *TRAIN, *USER, "--save-dir", "{folder}"],
    "train, from a model": ["fairseq-train", *TRAIN, *USER, "--save-dir", "{new}", "--finetune-from-model", "{file}"],
    "train, with a teacher": ["fairseq-train", *TRAIN, *USER, "--save-dir", "{new}"]
    + ["--criterion", "littlebird_distillation", "--teacher-path", "{file}"],
    "launch": ["littlebird-launch", *TRAIN, "--save-dir", "{folder}"],
    "validate": ["fairseq-validate", "text", "--task", "littlebird_masked_lm", *USER, "--path", "{file}", "--cpu"]
    + ["--batch-size", "4"],
    "predict": ["littlebird-predict", "questions", "--path", "{file}", "--output", "{new}"],
    "warm start": ["littlebird-warm-start", "--from", "{file}", "--out", "{new}"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_refused(name, tiny, commands, forks, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'marker'}",)

    folder = tmp_path / "saved"
    folder.mkdir()
    file = folder / "checkpoint_last.pt"
    torch.save({"model": Evil(), "cfg": None, "args": None}, file)
    words = [word.format(folder=folder, file=file, new=tmp_path / "new") for word in COMMANDS[name]]
    done = forks.run([commands / words[0], *words[1:]], cwd=tiny)
    assert not (tmp_path / "marker").exists()
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr[-3000:]
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"{words[0]}: ") and str(file) in last
    assert f"it holds {os.system.__module__}.system" in last and "weights_only" not in done.stderr


def test_no_torch_is_allowed_whose_safe_reader_is_not_its_default():
    """2.6 reads weights alone unless told otherwise, and closed a hole in doing so; 2.5.1 did neither."""
    setup = configparser.ConfigParser()
    setup.read(os.path.join(os.path.dirname(PACKAGE), "setup.cfg"))
    wanted = [Requirement(line) for line in setup["options"]["install_requires"].split() if line.startswith("torch")]
    assert [r.name for r in wanted] == ["torch"]
    assert "2.6.0" in wanted[0].specifier and "2.5.1" not in wanted[0].specifier
