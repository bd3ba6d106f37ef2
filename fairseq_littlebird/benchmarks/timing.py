"""Times that can be compared: everything runs in turn in one process, so a slow minute slows all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

FLOOR = "floor"  # the name of what sets the machine's own limit


class Times(NamedTuple):
    """Of one thing that ran several times, in milliseconds."""

    median: float
    fastest: float
    slowest: float


class Measured(NamedTuple):
    """What timing several models found out."""

    times: dict[str, Times]  # by name, ours first and the floor last
    remarks: dict[str, str]  # by name


def interleaved(runs: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu") -> dict[str, Times]:
    """Runs each once a round; the first round warms up and is not counted.

    Args:
        runs: what to time, by name.
        rounds: how many are counted, at least 1.
        device: waited for before and after each run.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            synchronize(device)
            begun = time.perf_counter()
            run()
            synchronize(device)
            taken[name].append(1e3 * (time.perf_counter() - begun))
    return {name: Times(statistics.median(t[1:]), min(t[1:]), max(t[1:])) for name, t in taken.items()}


def synchronize(device: str) -> None:
    """Waits until an accelerator has done all it was asked to."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
