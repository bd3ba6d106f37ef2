"""Distillation as a user runs it: both terms fall, runs resume, several workers agree, faults are one line."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import torch

import fairseq_littlebird

PACKAGE = Path(fairseq_littlebird.__file__).parent
TEACHER = """--arch roberta_full_tiny --encoder-layers 4 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
    --encoder-attention-heads 2 --max-positions 128""".split()
MASKED_LM = "text --task littlebird_masked_lm --tokens-per-sample 128".split()
SPANS = """text --task recurring_span_selection --tokens-per-sample 128 --sample-break-mode complete
    --shorten-method truncate""".split()
STUDENT = """--arch littlebird_tiny --encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
    --encoder-attention-heads 2 --pack-size 8 --block-size 16 --padding-insertion
    --criterion littlebird_distillation""".split()
TRAINING = """--cpu --optimizer adam --lr 3e-3 --batch-size 16 --no-epoch-checkpoints --log-format json
    --log-interval 1 --num-workers 1""".split()


@pytest.fixture(scope="module")
def teacher(fairseq, tmp_path_factory):
    """``teacher("words")`` and ``teacher("spans")``: checkpoints of a full-attention model after a few updates."""
    made = {}

    def teacher(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            data, criterion = (MASKED_LM, "masked_lm") if kind == "words" else (SPANS, "recurring_span_selection")
            more = ["--criterion", criterion, "--max-update", 12, "--save-dir", folder, "--disable-validation"]
            fairseq("train", *data, *TEACHER, *TRAINING, *more)
            made[kind] = folder / "checkpoint_last.pt"
        return made[kind]

    return teacher


@pytest.fixture(scope="module")
def distil(fairseq):
    """``distil(task, teacher, save_dir, updates, *more)`` runs fairseq-train."""

    def distil(data, teacher, save_dir, updates, *more, status=0):
        own = ["--teacher-path", teacher, "--save-dir", save_dir, "--max-update", updates]
        return fairseq("train", *data, *STUDENT, *TRAINING, *own, *more, status=status)

    return distil


@pytest.fixture(scope="module")
def straight(distil, teacher, tmp_path_factory):
    """A run over some epochs: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, distil(MASKED_LM, teacher("words"), folder, 24)


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
    done = distil(MASKED_LM, teacher("words"), tmp_path, 3)
    done = distil(MASKED_LM, teacher("words"), tmp_path, 6)
    again = series(logged(done, "train_inner"), "loss")
    wanted = series(logged(straight[1], "train_inner"), "loss")
    assert again == {n: wanted[n] for n in (4, 5, 6)}


def test_the_checkpoint_holds_nothing_of_the_teacher(straight, teacher):
    state = torch.load(straight[0] / "checkpoint_last.pt", weights_only=True)
    assert state["criterion"] is None
    assert not any("teacher" in key for key in state["model"])
    taught = torch.load(teacher("words"), weights_only=True)["model"]["encoder.embeddings.words.weight"]
    words = [t for t in state["model"].values() if t.shape == taught.shape]
    moments = [s["exp_avg"] for s in state["last_optimizer_state"]["state"].values()]
    assert len(words) == 1 and not torch.equal(words[0], taught)
    assert sum(m.numel() for m in moments) == sum(t.numel() for t in state["model"].values())
    assert state["cfg"]["criterion"]["teacher_path"] == str(teacher("words"))


def test_spans_are_distilled(distil, teacher, logged, tmp_path):
    done = distil(SPANS, teacher("spans"), tmp_path, 3, "--hard-weight", 0.5)
    record = logged(done, "valid")[-1]
    for name in ("loss", "soft_loss", "hard_loss", "attention_loss"):
        assert float(record[f"valid_{name}"]) > 0, name
    assert 0 <= float(record["valid_accuracy"]) <= 100


def test_attention_is_validated_before_any_update(fairseq, teacher, straight):
    """``fairseq-validate`` with another temperature and layer map than the training's."""
    own = ["--path", straight[0] / "checkpoint_last.pt", "--batch-size", 4, "--cpu", "--valid-subset", "valid"]
    done = fairseq("validate", *MASKED_LM, *own, "--teacher-path", teacher("words"))
    assert "attention_kl_2" in done.stdout + done.stderr


def test_two_workers_equal_one_with_twice_the_batches(distil, teacher, logged, tiny, commands, tmp_path):
    still = ["--dropout", 0, "--attention-dropout", 0, "--disable-validation"]
    alone = distil(MASKED_LM, teacher("words"), tmp_path / "one", 3, *still, "--update-freq", 2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent), "OMP_NUM_THREADS": "1"}
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    words = [commands / "fairseq-train", *MASKED_LM, *STUDENT, *TRAINING, "--user-dir", PACKAGE, *still]
    words += ["--teacher-path", teacher("words"), "--save-dir", tmp_path / "two", "--max-update", 3]
    words += ["--distributed-world-size", 2, "--device-id", 0, "--distributed-init-method", "env://"]
    words += ["--distributed-no-spawn", "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp"]
    workers = [
        subprocess.Popen(
            [*map(str, words), "--distributed-rank", str(rank)],
            cwd=tiny,
            env=environment | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        printed = [worker.communicate(timeout=600) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], printed[0][1][-3000:]
    together = subprocess.CompletedProcess([], 0, *printed[0])
    for name in ("loss", "soft_loss", "attention_loss", "attention_kl_2"):
        wanted, got = (series(logged(done, "train_inner"), name) for done in (alone, together))
        assert len(got) == 3 and got == pytest.approx(wanted, abs=2e-3), name
    one, two = (torch.load(tmp_path / f / "checkpoint_last.pt", weights_only=True)["model"] for f in ("one", "two"))
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-4)


def test_faults_are_one_line(distil, teacher, tiny, tmp_path):
    broken = tmp_path / "broken.pt"
    shutil.copyfile(teacher("words"), broken)
    broken.write_bytes(broken.read_bytes()[:1000])
    for data, path, more, says in (
        (MASKED_LM, "nowhere.pt", [], "nowhere.pt: no such checkpoint"),
        (MASKED_LM, broken, [], "broken.pt: not a readable checkpoint"),
        (SPANS, teacher("words"), [], "the teacher has no span head"),
        (MASKED_LM, teacher("words"), ["--tokens-per-sample", "150"], "lower --tokens-per-sample to 128"),
        (MASKED_LM, teacher("words"), ["--layer-map", "1,5"], "--layer-map: 1,5 is not within"),
    ):
        done = distil(data, path, tmp_path / "out", 1, *more, status=2)
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("fairseq-train: ") and says in last
