"""The newest whole checkpoint is found, whatever became of the others."""

from __future__ import annotations

import os

import pytest
import torch

from fairseq_littlebird.launching import recovery


@pytest.fixture
def folder(tmp_path):
    """Checkpoints of 10, 20 and 30 updates; the last is a copy of 30's."""
    for age, (name, updates) in enumerate(
        [("checkpoint_1_10.pt", 10), ("checkpoint_best.pt", 20), ("checkpoint_1_30.pt", 30), ("checkpoint_last.pt", 30)]
    ):
        torch.save({"updates": updates, "weights": torch.randn(5000)}, tmp_path / name)
        os.utime(tmp_path / name, ns=(age, age))
    return tmp_path


def updates(folder):
    return torch.load(folder / "checkpoint_last.pt", weights_only=True)["updates"]


def cut(path, share=0.5):
    age = path.stat().st_mtime_ns
    os.truncate(path, int(path.stat().st_size * share))
    os.utime(path, ns=(age, age))


def test_a_whole_folder_stays_as_it_is(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    recovery.recover(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.999])
def test_a_last_checkpoint_cut_short(folder, share, caplog):
    cut(folder / "checkpoint_last.pt", share)
    recovery.recover(folder)
    assert updates(folder) == 30 and "cut short" in caplog.text


def test_more_than_one_cut_short(folder):
    for name in ("checkpoint_last.pt", "checkpoint_1_30.pt"):
        cut(folder / name)
    recovery.recover(folder)
    assert updates(folder) == 20


def test_a_checkpoint_that_was_not_copied_yet(folder):
    (folder / "checkpoint_last.pt").unlink()
    recovery.recover(folder)
    assert updates(folder) == 30


def test_a_bit_that_fell_over(folder):
    path = folder / "checkpoint_last.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not recovery.whole(path)


def test_nothing_whole_is_left_alone(folder):
    for path in folder.glob("*.pt"):
        cut(path)
    before = (folder / "checkpoint_last.pt").read_bytes()
    (folder / "checkpoint_1_40.pt.tmp").write_bytes(b"unfinished")
    recovery.recover(folder)
    assert (folder / "checkpoint_last.pt").read_bytes() == before and not list(folder.glob("*.tmp"))


def trained(path, updates, age):
    torch.save({"updates": updates, "optimizer_history": [{"num_updates": updates}]}, path)
    os.utime(path, ns=(age, age))


@pytest.mark.parametrize("name", ["checkpoint_best.pt", "checkpoint.avg5.pt", "checkpoint_1_20.pt"])
def test_a_newer_one_that_goes_no_further(tmp_path, name):
    """As after a copy of the folder, whose files have the times at which each was copied, or of an average."""
    trained(tmp_path / "checkpoint_last.pt", 30, age=1)
    trained(tmp_path / name, 20, age=2)
    recovery.recover(tmp_path)
    assert updates(tmp_path) == 30


def test_a_newer_one_that_goes_further(tmp_path):
    """The training was killed before the copy."""
    trained(tmp_path / "checkpoint_last.pt", 30, age=1)
    trained(tmp_path / "checkpoint_1_40.pt", 40, age=2)
    trained(tmp_path / "checkpoint_best.pt", 20, age=3)
    recovery.recover(tmp_path)
    assert updates(tmp_path) == 40


def test_a_newer_one_takes_the_place_of_a_damaged_one(tmp_path):
    trained(tmp_path / "checkpoint_last.pt", 30, age=1)
    cut(tmp_path / "checkpoint_last.pt")
    trained(tmp_path / "checkpoint_best.pt", 20, age=2)
    recovery.recover(tmp_path)
    assert updates(tmp_path) == 20


def test_the_last_is_no_link(folder):
    """fairseq copies into it in place, and would write into the other too."""
    (folder / "checkpoint_last.pt").unlink()
    recovery.recover(folder)
    assert not (folder / "checkpoint_last.pt").samefile(folder / "checkpoint_1_30.pt")


def test_an_old_format_is_not_taken_for_cut_short(folder):
    torch.save({"updates": 99}, folder / "checkpoint_last.pt", _use_new_zipfile_serialization=False)
    recovery.recover(folder)
    assert updates(folder) == 99


@pytest.mark.parametrize(
    ("before", "done", "now", "says"),
    [(2, 7, 4, "epoch 3 by 2 workers, and 4 go on"), (2, 0, 4, None), (2, 7, 2, None)],
)
def test_another_number_of_workers(tmp_path, before, done, now, says):
    state = {
        "cfg": {"distributed_training": {"distributed_world_size": before}},
        "extra_state": {"train_iterator": {"epoch": 3, "iterations_in_epoch": done}},
    }
    torch.save(state, tmp_path / "c.pt")
    warning = recovery.other_workers(tmp_path / "c.pt", now)
    assert warning is None if says is None else says in warning


def test_a_checkpoint_that_fairseq_will_refuse_is_left_to_it(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    torch.save({"cfg": Evil()}, tmp_path / "c.pt")
    assert recovery.other_workers(tmp_path / "c.pt", 2) is None and not (tmp_path / "made").exists()
