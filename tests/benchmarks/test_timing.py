"""What the figures are made by: rounds, fresh processes, peaks of memory."""

from __future__ import annotations

import functools
import gc
import os
import sys

import pytest
import torch

from fairseq_littlebird.benchmarks import timing
from fairseq_littlebird.benchmarks.environment import environment
from fairseq_littlebird.benchmarks.memory import added_peak
from fairseq_littlebird.benchmarks.processes import ALLOCATORS, fresh_process
from fairseq_littlebird.errors import UserError


def test_everything_runs_once_a_round_and_the_first_is_left_out(monkeypatch):
    order, now = [], [0.0]
    seconds = {"a": iter([9.0, 1.0, 3.0, 2.0]), "b": iter([9.0, 5.0, 5.0, 6.0])}

    def run(name):
        order.append(name)
        now[0] += next(seconds[name])

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    times = timing.interleaved({name: lambda name=name: run(name) for name in seconds}, 3)
    assert order == ["a", "b"] * 4
    assert times == {"a": (2000.0, 1000.0, 3000.0), "b": (5000.0, 5000.0, 6000.0)}


def test_the_peak_counts_what_is_gone_again():
    """In a fresh process: what other tests left in this one would count, or hide as much."""
    size = 256 * 2**20  # beside which what a first operation loads is little
    ones = functools.partial(torch.ones, size, dtype=torch.uint8)  # nobody keeps it
    assert fresh_process(added_peak, ones) == pytest.approx(size, rel=0.1)
    assert fresh_process(added_peak, gc.collect) < 2 * 2**20


def test_a_process_of_its_own_with_its_own_variables():
    assert fresh_process(os.getpid) != os.getpid()
    for name, variables in ALLOCATORS.items():
        found = fresh_process(os.getenv, "MALLOC_TRIM_THRESHOLD_", variables=variables)
        assert found == {"default": None, "tuned": str(2**32), "exact": str(2**17)}[name]
    assert "MALLOC_TRIM_THRESHOLD_" not in os.environ


def test_errors_come_back():
    with pytest.raises(UserError, match="the measuring process was killed; give it more memory"):
        fresh_process(os._exit, 9)
    with pytest.raises(ZeroDivisionError):
        fresh_process(divmod, 1, 0)


def test_environment(monkeypatch):
    found = environment()
    assert found["torch"] == torch.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert int(found["cores"]) >= 1 and found["processor"]
