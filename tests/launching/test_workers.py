"""Who a worker is, and what fairseq is told."""

from __future__ import annotations

import os
import stat

import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.launching.workers import Workers, options_of, workers_of

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "29500"}
SLURM = {"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0", "SLURM_JOB_ID": "20007"}


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """One that knows two hosts."""
    path = tmp_path / "scontrol"
    path.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[07-08]" ] && printf "node07\\nnode08\\n"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def test_torchrun():
    assert workers_of(TORCHRUN) == Workers(3, 4, 1, "env://")


def test_slurm(scontrol):
    found = workers_of(SLURM | {"SLURM_JOB_NODELIST": "node[07-08]"})
    assert found == Workers(2, 4, 0, "tcp://node07:20007")


def test_a_process_by_itself():
    assert workers_of({}) is None
    assert workers_of(SLURM | {"SLURM_NTASKS": "1"}) is None  # a batch script's shell


def test_variables_that_make_no_sense(scontrol):
    with pytest.raises(UserError, match="RANK: expected a number, got 'x'"):
        workers_of(TORCHRUN | {"RANK": "x"})
    with pytest.raises(UserError, match="names no hosts"):
        workers_of(SLURM)
    with pytest.raises(UserError, match="node9.*--distributed-init-method"):
        workers_of(SLURM | {"SLURM_JOB_NODELIST": "node9"})


def pairs(words):
    """Options with their values; None for those without."""
    found, last = {}, ""
    for word in words:
        if word.startswith("--"):
            found[last := word] = None
        else:
            found[last] = word
    return found


def test_on_cpu_gloo_and_legacy_ddp():
    chosen = pairs(options_of(Workers(1, 2, 1, "env://"), set(), accelerators=0))
    assert chosen == {
        "--cpu": None,
        "--distributed-world-size": "2",
        "--distributed-rank": "1",
        "--distributed-init-method": "env://",
        "--device-id": "0",
        "--distributed-no-spawn": None,
        "--distributed-backend": "gloo",
        "--ddp-backend": "legacy_ddp",
        "--load-checkpoint-on-all-dp-ranks": None,
    }
    given = {"--cpu"}
    assert pairs(options_of(Workers(1, 2, 1, "env://"), given, accelerators=8))["--distributed-backend"] == "gloo"


def test_on_accelerators_nccl_and_a_device_each():
    chosen = pairs(options_of(Workers(9, 16, 1, "env://"), set(), accelerators=8))
    assert "--cpu" not in chosen and chosen["--device-id"] == "1"
    assert (chosen["--distributed-backend"], chosen["--ddp-backend"]) == ("nccl", "pytorch_ddp")
    assert "--find-unused-parameters" in chosen


def test_what_is_given_stands():
    given = {"--ddp-backend", "--distributed-world-size", "--distributed-init-method", "--distributed-rank"}
    chosen = pairs(options_of(Workers(1, 2, 1, "env://"), given, accelerators=0))
    assert not given & set(chosen) and chosen["--distributed-backend"] == "gloo"


def test_by_itself_fairseq_decides():
    assert options_of(None, set(), accelerators=4) == ["--find-unused-parameters"]  # it spawns one worker a device
    assert pairs(options_of(None, set(), accelerators=0)) == {"--cpu": None, "--distributed-world-size": "1"}


@pytest.mark.parametrize("given", [set(), {"--distributed-rank"}, {"--distributed-world-size"}])
def test_a_meeting_place_without_a_worker(given):
    with pytest.raises(UserError, match="--distributed-init-method: .*which of them this is; give --distributed-"):
        options_of(None, {"--distributed-init-method", *given}, accelerators=0)
    options_of(Workers(0, 2, 0, "env://"), {"--distributed-init-method", *given}, accelerators=0)


def test_workers_that_are_started_by_hand():
    given = {"--distributed-init-method", "--distributed-rank", "--distributed-world-size"}
    chosen = pairs(options_of(None, given, accelerators=0))
    assert chosen["--distributed-backend"] == "gloo" and "--distributed-no-spawn" in chosen
