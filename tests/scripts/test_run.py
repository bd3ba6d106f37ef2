"""What the scripts share: commands that end with the script, and when a training will end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "scripts" / "run.sh"


def start(tmp_path, body, **options):
    file = tmp_path / "script.sh"
    file.write_text(f"set -euo pipefail\nsource {RUN}\n{body}\n")
    return subprocess.Popen(["bash", file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_the_script(tmp_path, number):
    """The command is told, and the script waits for it."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("these tests were started with this signal ignored, and so would the script be")
    own = f"trap 'sleep 0.2; echo cleaned >{tmp_path}/cleaned; exit 1' TERM; echo $$ >{tmp_path}/pid"
    own += "; while :; do sleep 0.05; done"
    process = start(tmp_path, f'run bash -c "{own.replace("$$", chr(92) + "$" + chr(92) + "$")}"\necho "goes on"')
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "goes on" not in out
    assert error == f"script: ended by {signal.Signals(number).name}\n"
    assert (tmp_path / "cleaned").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_failure_ends_the_script_with_its_status(tmp_path):
    process = start(tmp_path, "run bash -c 'exit 3'\necho 'goes on'")
    assert process.communicate() == ("+ bash -c 'exit 3'\n", "") and process.returncode == 3


def test_a_training_goes_on_from_the_newest_whole_checkpoint(tmp_path):
    """A signal, or a full disk, may have come while fairseq copied the last one."""
    folder = tmp_path / "a model's"
    folder.mkdir()
    torch.save({"weights": torch.randn(5000)}, folder / "checkpoint_1_10.pt")
    whole = (folder / "checkpoint_1_10.pt").read_bytes()
    (folder / "checkpoint_last.pt").write_bytes(whole[:5000])
    body = f'run_training 20 test -e "{folder}" --save-dir "{folder}" || true'
    process = start(tmp_path, body, cwd=ROOT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0 and "checkpoint_last.pt: cut short" in error
    assert (folder / "checkpoint_last.pt").read_bytes() == whole


def test_paths_are_those_of_the_folder_that_the_script_was_called_from(tmp_path):
    (tmp_path / "a folder").mkdir()
    body = f'cd {tmp_path}\nfor path in x.json ../y /z ""; do given "$path"; echo; done'
    elsewhere = start(tmp_path, body, cwd=tmp_path / "a folder").communicate()[0].splitlines()
    assert elsewhere == [f"{tmp_path}/a folder/x.json", f"{tmp_path}/a folder/../y", "/z", ""]
    assert start(tmp_path, body, cwd=tmp_path).communicate()[0].splitlines() == ["x.json", "../y", "/z", ""]


def test_two_runs_in_one_folder(tmp_path):
    body = f"lock {tmp_path}/mark; echo locked; read -r"
    first = start(tmp_path, body, stdin=subprocess.PIPE)
    assert first.stdout.readline() == "locked\n"
    second = start(tmp_path, body, stdin=subprocess.DEVNULL)
    error = second.communicate()[1]
    assert second.returncode == 2 and error.count("\n") == 1 and f"{tmp_path}/mark: another run is at work" in error
    first.communicate("\n")
    third = start(tmp_path, body, stdin=subprocess.PIPE)
    third.communicate("\n")
    assert (first.returncode, third.returncode) == (0, 0)


def seen(clock, *parts, every=1.0):
    """Lines of a training whose parts are (seconds, updates a second), with the seconds that they come at."""
    now = updates = 0.0
    lines = []
    for seconds, speed in parts:
        for _ in range(int(seconds / every)):
            now, updates = now + every, updates + speed * every
            if line := clock.see(now, int(updates) // 10 * 10):  # as --log-interval 10 tells it
                lines.append((now, line))
    return lines


@pytest.fixture(scope="module")
def clock(script):
    return script("scripts/training_clock.py").Clock


@pytest.mark.parametrize("name", ["import_graph", "training_clock", "build_fairseq", "quickstart_updates"])
def test_help_of_small_scripts(name, forks):
    done = forks.run([sys.executable, str(ROOT / "scripts" / f"{name}.py"), "--help"])
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith(f"usage: {name}.py [-h]")


def test_an_estimate_soon_after_the_first_updates(clock):
    own = clock(1300)
    assert seen(own, (30, 0), (400, 2)) == [(50.0, "40 of 1,300 updates; at this speed it ends in 10 min")]
    assert own.seconds == 0.5 and own.end == 50 + 1260 / 2


def test_other_work_on_the_machine_moves_the_end(clock):
    lines = seen(clock(3000), (300, 2), (300, 0.2), (600, 2))
    assert lines[0][1].endswith("ends in 25 min") and len(lines) > 2
    assert any("h " in line for _, line in lines[1:])  # slower
    assert lines[-1] == (956.0, "1,370 of 3,000 updates; at this speed it ends in 14 min")  # and as before


def test_a_training_that_stands_still_gets_later(clock):
    lines = seen(clock(1000), (100, 2), (900, 0))
    assert all(line.startswith("200 of 1,000 updates") for _, line in lines[1:])
    assert lines[2][1].endswith("in 18 min") and lines[-1][1].endswith("in 1 h 2 min")


def test_nothing_without_two_sights_of_updates(clock):
    assert seen(clock(100), (500, 0)) == [] and seen(clock(100), (300, 0.05)) == []


def test_updates_are_those_of_this_run(script, tmp_path):
    done, log = script("scripts/training_clock.py").done, tmp_path / "log"
    assert done(log, 0) == 0
    log.write_text("epoch 001: 10 / 99 loss=3, num_updates=10, lr=1\n")
    before = log.stat().st_size
    assert done(log, 0) == 10 and done(log, before) == 0
    with log.open("a") as file:
        file.write("epoch 002: 20 / 99 loss=3, num_updates=12, lr=1\nepoch 002: 30 / 99 loss=3, num_upd")
    assert done(log, before) == 12


def test_updates_of_a_given_time(script):
    """The time that they take, by the speed that was measured, is what is left of the given one."""
    module = script("scripts/quickstart_updates.py")
    log = (
        "1: 10 / 62 loss=3, ups=0.9, wpb=1\n1: 20 / 62 loss=3, ups=2.5, num_updates=20\n2026 | train | loss 3 | ups 7\n"
    )
    assert (module.speed(log), module.speed("")) == (2.5, 0)
    pretraining, tuning = module.updates(seconds=600, speed=2.5, workers=2)
    taken = (pretraining + module.TUNING * tuning + module.ANSWERS * 2) / 2.5 + module.STARTS
    assert 598 < taken <= 600 and abs(tuning / pretraining - 2.6) < 0.02
    assert module.updates(seconds=30, speed=2.5, workers=1) == (10, 10)
