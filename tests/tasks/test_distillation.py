"""Distillation as a user runs it: both terms fall, runs resume, faults are one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import fairseq_littlebird

PACKAGE = Path(fairseq_littlebird.__file__).parent
MASKED_LM = "text --task littlebird_masked_lm --tokens-per-sample 128".split()
SPANS = """text --task recurring_span_selection --tokens-per-sample 128 --sample-break-mode complete
    --shorten-method truncate""".split()
STUDENT = """--arch littlebird_tiny --encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
    --encoder-attention-heads 2 --pack-size 8 --block-size 16 --padding-insertion
    --criterion littlebird_distillation""".split()
TRAINING = """--cpu --optimizer adam --lr 3e-3 --batch-size 16 --no-epoch-checkpoints --log-format json
    --log-interval 1 --num-workers 1""".split()


@pytest.fixture(scope="module")
def distil(fairseq):
    """``distil(task, teacher, save_dir, updates, *more)`` runs fairseq-train."""

    def distil(data, teacher, save_dir, updates, *more, status=0):
        own = ["--teacher-path", teacher, "--save-dir", save_dir, "--max-update", updates]
        return fairseq("train", *data, *STUDENT, *TRAINING, *own, *more, status=status)

    return distil


@pytest.fixture(scope="module")
def straight(distil, teacher, tmp_path_factory):
    """A run over some epochs, with a checkpoint inside one: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, distil(MASKED_LM, teacher("littlebird_masked_lm"), folder, 24, "--save-interval-updates", 18)


def series(records, name):
    return {int(r["num_updates"]): float(r[name]) for r in records}


def test_both_terms_fall(logged, straight):
    records = logged(straight[1], "train_inner")
    for name in ("loss", "soft_loss", "attention_loss", "attention_kl_1", "attention_kl_2"):
        values = list(series(records, name).values())
        assert len(values) == 24 and sum(values[-5:]) < 0.9 * sum(values[:5]), (name, values)
    assert "hard_loss" not in records[0]
    valid = logged(straight[1], "valid")[-1]
    assert float(valid["valid_attention_loss"]) > 0 and float(valid["valid_soft_loss"]) > 0


def test_an_interrupted_run_equals_an_uninterrupted_one(distil, teacher, logged, straight, tmp_path):
    first = next(straight[0].glob("checkpoint_*_18.pt"))
    shutil.copyfile(first, tmp_path / "checkpoint_last.pt")
    done = distil(MASKED_LM, teacher("littlebird_masked_lm"), tmp_path, 23)
    again = series(logged(done, "train_inner"), "loss")
    wanted = series(logged(straight[1], "train_inner"), "loss")
    assert again == {n: wanted[n] for n in (19, 20, 21, 22, 23)}


def test_the_checkpoint_holds_nothing_of_the_teacher(straight, teacher):
    state = torch.load(straight[0] / "checkpoint_last.pt", weights_only=True)
    assert state["criterion"] is None
    assert not any("teacher" in key for key in state["model"])
    taught = torch.load(teacher("littlebird_masked_lm"), weights_only=True)["model"]["encoder.embeddings.tokens.weight"]
    words = [t for t in state["model"].values() if t.shape == taught.shape]
    moments = [s["exp_avg"] for s in state["last_optimizer_state"]["state"].values()]
    assert len(words) == 1 and not torch.equal(words[0], taught)
    assert sum(m.numel() for m in moments) == sum(t.numel() for t in state["model"].values())
    assert state["cfg"]["criterion"]["teacher_path"] == str(teacher("littlebird_masked_lm"))


def test_spans_are_distilled(distil, teacher, logged, tmp_path):
    done = distil(SPANS, teacher("recurring_span_selection"), tmp_path, 3, "--hard-weight", 0.5)
    record = logged(done, "valid")[-1]
    for name in ("loss", "soft_loss", "hard_loss", "attention_loss"):
        assert float(record[f"valid_{name}"]) > 0, name
    assert 0 <= float(record["valid_accuracy"]) <= 100


def test_validate(fairseq, teacher, straight):
    """With the criterion of the checkpoint, the teacher where it stands now."""
    moved = straight[0] / "moved.pt"
    shutil.copyfile(teacher("littlebird_masked_lm"), moved)
    own = ["--path", straight[0] / "checkpoint_last.pt", "--batch-size", 4, "--cpu", "--valid-subset", "valid"]
    kind = ["--criterion", "littlebird_distillation", "--teacher-path", moved, "--teacher-precision", "bfloat16"]
    done = fairseq("validate", *MASKED_LM, *own, *kind)
    printed = done.stdout + done.stderr
    assert "attention_kl_2" in printed and "hard_loss" in printed and f"'teacher_path': '{moved}'" in printed


def test_faults_are_one_line(distil, teacher, tmp_path):
    """Of a teacher that is not there, and of what shows at the first batch alone."""
    no_workers = ["--num-workers", 0]  # a worker that is stopped while it hands over a batch prints a traceback itself
    for path, more, says in (
        ("nowhere.pt", [], "nowhere.pt: no such checkpoint"),
        (teacher("littlebird_masked_lm"), ["--tokens-per-sample", 150], "lower --tokens-per-sample by 14"),
    ):
        done = distil(MASKED_LM, path, tmp_path, 1, *no_workers, *more, status=2)
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("fairseq-train: ") and says in last
