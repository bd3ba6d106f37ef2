"""The launching scripts, with stand-ins for torchrun and SLURM; all scripts as shellcheck has them."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """``stand_in("srun", "echo …")`` puts a command before those of the system."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")

    def stand_in(name, body):
        path = folder / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return stand_in


def run(script, *arguments, **variables):
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    command = ["bash", str(SCRIPTS / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_shellcheck():
    checker = shutil.which("shellcheck") or shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    if checker is None:
        pytest.skip("shellcheck is not installed")
    files = [str(path) for path in sorted(SCRIPTS.glob("*.sh"))]
    done = subprocess.run([checker, "-x", "-S", "warning", *files], cwd=SCRIPTS.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", ["launch_torchrun.sh", "launch_slurm.sh"])
def test_without_arguments_they_say_how(script):
    done = run(script)
    assert done.returncode == 2 and "DIR has to be" in done.stdout and "#" not in done.stdout


def test_slurm(stand_in, tmp_path):
    stand_in("srun", f'printf "%s\\n" "$@" > {tmp_path}/srun; exit ${{SRUN_STATUS:-0}}')
    stand_in("scontrol", f'echo "$*" >> {tmp_path}/scontrol')
    done = run("launch_slurm.sh", "text bin", "--task", "masked_lm", SLURM_JOB_ID=77)
    words = ["--kill-on-bad-exit=1", "littlebird-launch", "text bin", "--task", "masked_lm"]
    assert done.returncode == 0 and (tmp_path / "srun").read_text().splitlines() == words
    assert not (tmp_path / "scontrol").exists()

    told = run("launch_slurm.sh", "text", SLURM_JOB_ID=77, SRUN_STATUS=138)  # the time was over
    assert told.returncode == 138 and (tmp_path / "scontrol").read_text() == "requeue 77\n"
    again = run("launch_slurm.sh", "text", SLURM_JOB_ID=77, SRUN_STATUS=1, SLURM_RESTART_COUNT=10)
    assert again.returncode == 1 and (tmp_path / "scontrol").read_text() == "requeue 77\n"


def test_torchrun_is_started_again_until_it_is_done(stand_in, tmp_path):
    stand_in("torchrun", f'echo "$@" >> {tmp_path}/calls; [ $(wc -l < {tmp_path}/calls) -ge 3 ]')
    done = run("launch_torchrun.sh", "text", "--seed", "1", HOSTS=2, MEET="a:1", WORKERS=4, JOB="j", PAUSE=0)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert done.returncode == 0 and len(calls) == 3 and len(set(calls)) == 1
    assert calls[0] == (
        "--no-python --nnodes=2 --nproc_per_node=4 --max_restarts=0 --rdzv_backend=c10d --rdzv_endpoint=a:1 "
        "--rdzv_id=j littlebird-launch text --seed 1"
    )


def test_torchrun_is_not_started_for_ever(stand_in, tmp_path):
    stand_in("torchrun", f"echo >> {tmp_path}/calls; exit 3")
    done = run("launch_torchrun.sh", "text", WORKERS=1, RETRIES=2, PAUSE=0)
    assert done.returncode == 3 and len((tmp_path / "calls").read_text().splitlines()) == 3
    assert "attempt 2 of 2 follows" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_goes_to_torchrun_and_ends_the_loop(stand_in, tmp_path, number):
    body = f'trap "echo told >> {tmp_path}/calls; exit 143" TERM; echo started >> {tmp_path}/calls\n'
    stand_in("torchrun", body + "for n in $(seq 600); do sleep 0.1; done")
    command = ["bash", str(SCRIPTS / "launch_torchrun.sh"), "text"]
    loop = subprocess.Popen(command, env=os.environ | {"WORKERS": "1", "PAUSE": "0"})
    end = time.monotonic() + 60
    while not (tmp_path / "calls").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    loop.send_signal(number)
    assert loop.wait(timeout=60) == 143
    assert (tmp_path / "calls").read_text().split() == ["started", "told"]


def test_a_signal_before_torchrun_has_a_number(stand_in, tmp_path):
    stand_in("torchrun", "for n in $(seq 600); do sleep 0.1; done")
    trap = tmp_path / "trap"
    trap.write_text("trap '[[ $BASH_COMMAND != child=?! ]] || kill -TERM $$' DEBUG\n")
    done = run("launch_torchrun.sh", "text", WORKERS=1, PAUSE=0, BASH_ENV=trap)
    assert done.returncode == 143  # 0 where torchrun is not told, and ends by itself


def test_a_signal_in_the_pause_ends_the_loop(stand_in, tmp_path):
    stand_in("torchrun", f"echo >> {tmp_path}/calls; (sleep 1; kill -TERM $PPID) & exit 3")
    done = run("launch_torchrun.sh", "text", WORKERS=1, PAUSE=1000)  # more than this test waits
    assert done.returncode == 3 and len((tmp_path / "calls").read_text().splitlines()) == 1
