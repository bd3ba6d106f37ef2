"""Distillation from a teacher whose layers attend locally and to all tokens in turn, as a user runs it."""

from __future__ import annotations

import pytest
import torch
from fairseq import checkpoint_utils
from helpers.training import TRAINING

SIZES = """--encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 24 --encoder-attention-heads 2""".split()
TEXT = "text --task littlebird_masked_lm".split()
TEACHER = ["--arch", "modernbert_full_tiny", *SIZES, "--attention-window", "0,16", "--max-positions", 2048]
STUDENT = ["--arch", "littlebird_modernbert_tiny", *SIZES, "--pack-size", 8, "--block-size", 16]


@pytest.fixture(scope="module")
def teacher(fairseq, once):
    def make(folder):
        own = ["--criterion", "masked_lm", "--tokens-per-sample", 128, "--disable-validation"]
        fairseq("train", *TEXT, *TEACHER, *own, *TRAINING, "--max-update", 6, "--save-dir", folder)

    return once("modernbert_teacher", make) / "checkpoint_last.pt"


@pytest.fixture(scope="module")
def distil(fairseq, teacher):
    def distil(length, updates, save_dir, *more, status=0):
        own = ["--criterion", "littlebird_distillation", "--teacher-path", teacher, "--tokens-per-sample", length]
        own += ["--save-dir", save_dir, "--max-update", updates, "--padding-insertion", "--num-workers", 0, *more]
        return fairseq("train", *TEXT, *STUDENT, *TRAINING, *own, status=status)

    return distil


def loaded(checkpoint):
    [model], _, _ = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint)])
    return model.eval()


def test_both_terms_fall(distil, logged, tiny, tmp_path, monkeypatch):
    done = distil(128, 24, tmp_path, "--lr", "3e-3")
    records = logged(done, "train_inner")
    for name in ("soft_loss", "attention_kl_1", "attention_kl_2"):
        values = [float(record[name]) for record in records]
        assert len(values) == 24 and sum(values[-5:]) < 0.95 * sum(values[:5]), (name, values)
    monkeypatch.chdir(tiny)
    model = loaded(tmp_path / "checkpoint_last.pt")
    assert model.encoder.config.form == ("pre", True, False, False)
    assert not [name for name, _ in model.named_parameters() if name.endswith("bias") and name != "lm_head.bias"]


def test_as_long_as_the_teacher_reads(distil, logged, tmp_path):
    """And no longer: one line says by how much."""
    done = distil(2048, 2, tmp_path, "--batch-size", 2, "--sample-break-mode", "none")
    assert all(float(record["attention_loss"]) > 0 for record in logged(done, "train_inner"))
    done = distil(2049, 1, tmp_path / "longer", "--batch-size", 2, "--sample-break-mode", "none", status=2)
    assert "Traceback" not in done.stderr
    assert "lower --tokens-per-sample by 1" in done.stderr.strip().splitlines()[-1]


def test_another_form_is_told(fairseq, teacher, tmp_path):
    own = ["--criterion", "masked_lm", "--tokens-per-sample", 128, "--finetune-from-model", teacher]
    other = ["--arch", "roberta_full_tiny", *SIZES, "--max-positions", 2048]
    done = fairseq("train", *TEXT, *other, *own, *TRAINING, "--max-update", 1, "--save-dir", tmp_path, status=2)
    last = done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr and "another architecture" in last


def test_windows_that_do_not_fit(fairseq, tmp_path):
    for window, says in (("0,16,16", "3 attention windows do not fit 2 layers"), ("0,15", "not even numbers")):
        own = ["--criterion", "masked_lm", "--tokens-per-sample", 128, "--attention-window", window]
        done = fairseq("train", *TEXT, *TEACHER, *own, *TRAINING, "--max-update", 1, "--save-dir", tmp_path, status=2)
        assert "Traceback" not in done.stderr and says in done.stderr.strip().splitlines()[-1]


def test_used_by_itself_it_reads_more(teacher, tiny, monkeypatch):
    """Rotary positions end nowhere; and what stands far away changes nothing nearby in a local layer."""
    monkeypatch.chdir(tiny)
    model = loaded(teacher)
    tokens = torch.randint(4, 60, (1, 3000))
    with torch.no_grad():
        hidden, _ = model(tokens, features_only=True)
    assert hidden.shape == (1, 3000, 32) and hidden.isfinite().all()
    assert model.max_positions() > 3000
