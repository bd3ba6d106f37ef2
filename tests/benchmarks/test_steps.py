"""Commands that run once."""

from __future__ import annotations

import json
import threading
import time

import pytest

from fairseq_littlebird.benchmarks import steps
from fairseq_littlebird.benchmarks.steps import Step
from fairseq_littlebird.errors import UserError


def python(folder, code, makes=None):
    return Step("count", ["python", "-c", code], folder, makes)


def test_a_step_runs_once_and_keeps_what_it_wrote(tmp_path):
    made = tmp_path / "a" / "made"
    step = python(
        tmp_path / "a", f"import os; os.mkdir({str(made)!r}); print('made', os.environ['OMP_NUM_THREADS'])", made
    )
    step.run(threads=3)
    assert step.log.read_text().splitlines()[0].startswith("+ python -c ")
    assert step.log.read_text().splitlines()[-1] == "made 3"
    before = step.record.stat().st_mtime_ns
    step.run(threads=1)
    assert step.record.stat().st_mtime_ns == before and 0 < step.seconds() < 100


def test_what_an_interrupted_step_left_goes(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    (made / "half").touch()
    python(tmp_path, f"import os; os.mkdir({str(made)!r})", made).run(threads=1)
    assert not any(made.iterdir())


def test_a_failure_is_one_line_and_runs_again(tmp_path):
    step = python(tmp_path, "print('before'); raise SystemExit('no room')")
    for _ in range(2):
        with pytest.raises(UserError, match=r"count.log: python ended with status 1: no room$"):
            step.run(threads=1)
    assert not step.record.exists()


def test_another_commands_record_is_not_taken_for_this_ones(tmp_path):
    python(tmp_path, "1").run(threads=1)
    assert json.loads((tmp_path / "count.json").read_text())["command"] == "python -c 1"
    with pytest.raises(UserError, match="count.json: made by another command; remove it"):
        python(tmp_path, "2").run(threads=1)


def test_the_end_of_all_steps(tmp_path, monkeypatch):
    """As a signal to the command has it: what runs is told, and nothing more begins."""
    running = steps._Running()
    monkeypatch.setattr(steps, "_RUNNING", running)
    failures = []

    def run(name):
        with pytest.raises(UserError, match="ended with status -15") as failure:
            python(tmp_path / name, "print('here', flush=True); import time; time.sleep(600)").run(threads=1)
        failures.append(str(failure.value))

    thread = threading.Thread(target=run, args=("first",))
    thread.start()
    log = tmp_path / "first" / "count.log"
    while not log.exists() or "here" not in log.read_text():
        time.sleep(0.01)
    running.end()
    thread.join(60)
    run("second")
    assert len(failures) == 2 and "here" not in (tmp_path / "second" / "count.log").read_text().splitlines()
