"""Models side by side on one workload: times from one process, memory from a fresh one each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fairseq_littlebird.benchmarks.cells import Cell
from fairseq_littlebird.benchmarks.environment import environment
from fairseq_littlebird.benchmarks.processes import ALLOCATORS, fresh_process
from fairseq_littlebird.benchmarks.timing import FLOOR, Measured
from fairseq_littlebird.benchmarks.workload import Workload


class Benchmark(NamedTuple):
    """What is compared."""

    name: str
    measure: Callable[[Workload, Sequence[str], int], Measured]  # of models, by name, in so many rounds
    peak: Callable[[Workload, str], int]  # bytes that one model adds
    layered: bool  # whether the workload's number of layers says anything


def compare(
    benchmark: Benchmark,
    workload: Workload,
    names: Sequence[str],
    rounds: int,
    allocator: str = "default",
    memory: bool = False,
) -> list[Cell]:
    """A cell for each model, and one for the floor.

    Args:
        benchmark: what runs.
        workload: what each is given.
        names: of the models, ours first.
        rounds: how often each runs, besides a first time.
        allocator: one of ``ALLOCATORS``.
        memory: whether to measure memory too.
    """
    variables = ALLOCATORS[allocator]
    times, remarks = fresh_process(benchmark.measure, workload, names, rounds, variables=variables)
    floor, ours = times[FLOOR].median, times[names[0]].median
    settings: dict[str, Any] = dataclasses.asdict(workload)
    settings |= settings.pop("sizes") | environment(workload.device)
    cells = []
    for name, (median, fastest, slowest) in times.items():
        peak = slope = None
        if memory and name != FLOOR:
            peak = fresh_process(benchmark.peak, workload, name, variables=variables)
            if benchmark.layered:
                twice = dataclasses.replace(workload, layers=2 * workload.layers)
                slope = fresh_process(benchmark.peak, twice, name, variables=variables) - peak
        tokens = sum(workload.row_lengths())
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
                peak_kib_per_token=None if peak is None else peak / 2**10 / tokens,
                peak_bytes_per_token_and_layer=None if slope is None else slope / tokens / workload.layers,
                remark=remarks.get(name, ""),
                **settings,
            )
        )
    return cells
