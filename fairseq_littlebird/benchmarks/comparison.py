"""Models side by side on one workload: times from one process, memory from a fresh one each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fairseq_littlebird.benchmarks.cells import Cell
from fairseq_littlebird.benchmarks.environment import environment
from fairseq_littlebird.benchmarks.processes import ALLOCATORS, OutOfMemory, fresh_process
from fairseq_littlebird.benchmarks.timing import FLOOR, Measured
from fairseq_littlebird.benchmarks.workload import Workload


class Benchmark(NamedTuple):
    """What is compared."""

    name: str
    measure: Callable[[Workload, Sequence[str], int], Measured]  # of models, by name, in so many rounds
    peak: Callable[[Workload, str], int]  # bytes that one model adds
    layered: bool  # whether the workload's number of layers says anything
    whole: bool = False  # whether a peak holds the weights too, so that a token's share says nothing


def compare(
    benchmark: Benchmark,
    workload: Workload,
    names: Sequence[str],
    rounds: int,
    allocator: str = "default",
    memory: bool = False,
    done: Callable[[int], object] = lambda count: None,
) -> list[Cell]:
    """A cell for each model, and one for the floor. A peer whose peak does not fit into memory has none.

    Args:
        benchmark: what runs.
        workload: what each is given.
        names: of the models, ours first.
        rounds: how often each runs, besides a first time.
        allocator: one of ``ALLOCATORS``.
        memory: whether to measure memory too.
        done: called with how many of the names' times or peaks are there or given up since the last call.
    Raises:
        UserError: ours does not fit into memory, or all models do not fit together.
    """
    variables = ALLOCATORS[allocator]
    peaks: dict[str, int] = {}
    slopes: dict[str, int] = {}
    for name in names if memory else ():
        try:
            peaks[name] = fresh_process(benchmark.peak, workload, name, variables=variables)
            if benchmark.layered:
                twice = dataclasses.replace(workload, layers=2 * workload.layers)
                slopes[name] = fresh_process(benchmark.peak, twice, name, variables=variables) - peaks[name]
        except OutOfMemory:
            if name == names[0]:
                raise
        done(1)
    fitting = [name for name in names if name in peaks or not memory]
    times, remarks = fresh_process(benchmark.measure, workload, fitting, rounds, variables=variables)
    done(len(names))
    floor, ours = times[FLOOR].median, times[names[0]].median
    settings: dict[str, Any] = dataclasses.asdict(workload)
    settings |= settings.pop("sizes") | environment(workload.device)
    del settings["modernbert"]  # the width of the feed-forward network tells it
    tokens = sum(workload.lengths())
    cells = []
    for name, (median, fastest, slowest) in times.items():
        peak, slope = peaks.get(name), slopes.get(name)
        cells.append(
            Cell(
                benchmark=benchmark.name,
                model=name,
                allocator=allocator,
                rounds=rounds,
                median_ms=median,
                fastest_ms=fastest,
                slowest_ms=slowest,
                floor_ms=floor,
                times_floor=median / floor,
                times_ours=median / ours,
                peak_mib=None if peak is None else peak / 2**20,
                peak_kib_per_token=None if peak is None or benchmark.whole else peak / 2**10 / tokens,
                peak_bytes_per_token_and_layer=None if slope is None else slope / tokens / workload.layers,
                remark=remarks.get(name, ""),
                **settings,
            )
        )
    return cells
