"""Language models side by side at growing lengths: time, memory, and the length from which linear attention is faster.

Legend: B sequences, L tokens, T tokens to write.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from fairseq_littlebird.benchmarks.language_model_workload import PARTS, LanguageModelling
from fairseq_littlebird.benchmarks.language_models import build, ready
from fairseq_littlebird.benchmarks.memory import added_peak
from fairseq_littlebird.benchmarks.processes import ALLOCATORS, OutOfMemory, OutOfTime, fresh_process
from fairseq_littlebird.benchmarks.timing import Times, interleaved

GIB = 1 << 30


class Limits(NamedTuple):
    """Of one model in a process of its own.

    Args:
        memory: bytes that the process may hold.
        seconds: that its first run may take, its start included.
    """

    memory: int
    seconds: float


@dataclass(frozen=True)
class Row:
    """One model at one setting."""

    model: str
    mode: str
    length: int
    batch: int
    layers: int
    width: int
    windows: str
    dilations: str
    vocabulary: int
    threads: int
    device: str
    rounds: int
    median_ms: float  # of a pass, or of one written token
    fastest_ms: float
    slowest_ms: float
    tokens_per_s: float  # read by a pass, or written
    times_ours: float  # this median over that of the model named first
    peak_mib: float  # beyond weights, gradients and inputs; in generation with the keys of what was read
    part: str = PARTS[0]  # what was measured


HEADER = (
    f"{'tokens':>7} {'mode':16} {'model':15} {'ms':>10} {'range':>23} {'tokens/s':>10} {'x first':>8} {'peak MiB':>9}"
)


def line(row: Row) -> str:
    """A row of the table under ``HEADER``."""
    spread = f"[{row.fastest_ms:.2f} - {row.slowest_ms:.2f}]"
    return (
        f"{row.length:>7,} {row.mode:16} {row.model:15} {row.median_ms:>10.2f} {spread:>23} {row.tokens_per_s:>10,.0f} "
        f"{row.times_ours:>8.2f} {row.peak_mib:>9.0f}"
    )


def measure(
    of: LanguageModelling,
    names: Sequence[str],
    rounds: int,
    limits: Limits,
    done: Callable[[], object] = lambda: None,
) -> tuple[list[Row], dict[str, str]]:
    """All models at one setting; one that does not keep within the limits has no row.

    Args:
        of: what each is given.
        names: of ``MODELS``, ours first.
        rounds: how often each runs, besides a first time.
        limits: of each.
        done: called after each model's first run, and again after all have run in turn.
    Returns:
        the rows; and why a model has none, by name.
    Raises:
        OutOfMemory, OutOfTime: the first model's.
    """
    peaks: dict[str, int] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            peaks[name] = fresh_process(
                peak, of, name, limits.memory, variables=ALLOCATORS["exact"], seconds=limits.seconds
            )
        except (OutOfMemory, OutOfTime) as error:
            if name == names[0]:
                raise
            skipped[name] = reason(error, limits)
        done()
    fitting = [*peaks]
    try:
        times = fresh_process(timed, of, fitting, rounds, limits.memory)
    except OutOfMemory:
        if len(fitting) == 1:
            raise
        skipped |= dict.fromkeys(fitting[1:], "all models together do not fit into memory")
        fitting = fitting[:1]
        times = fresh_process(timed, of, fitting, rounds, limits.memory)
    done()
    generation = of.mode == "generation"
    count = of.tokens if generation else 1  # what a run is divided by
    rows = [
        Row(
            model=name,
            mode=of.mode,
            length=of.length,
            batch=of.batch,
            layers=of.layers,
            width=of.width,
            windows=of.windows,
            dilations=of.dilations,
            vocabulary=of.vocabulary,
            threads=of.threads,
            device=of.device,
            rounds=rounds,
            median_ms=times[name].median / count,
            fastest_ms=times[name].fastest / count,
            slowest_ms=times[name].slowest / count,
            tokens_per_s=1e3 * of.batch * (of.tokens if generation else of.length) / times[name].median,
            times_ours=times[name].median / times[fitting[0]].median,
            peak_mib=peaks[name] / 2**20,
            part=of.part,
        )
        for name in fitting
    ]
    return rows, skipped


def reason(error: OutOfMemory | OutOfTime, limits: Limits) -> str:
    """Why a model was left out."""
    if isinstance(error, OutOfTime):
        return f"its first run took more than {limits.seconds:g} s"
    return f"it needed more than {limits.memory / GIB:.1f} GiB"


def peak(of: LanguageModelling, name: str, memory: int) -> int:
    """Bytes that a run adds at its peak to weights, gradients and inputs; to be called in a fresh process."""
    _prepare(of, memory)
    twin = LanguageModelling(
        of.mode, length=64, layers=1, width=64, heads=2, ffn_width=64, windows="32", tokens=2, threads=of.threads,
        device=of.device, part=of.part,
    )  # fmt: skip
    ready(build(name, twin), twin)()  # loads libraries and starts threads, which stay
    model = build(name, of)
    if of.mode == "generation":
        return added_peak(lambda: ready(model, of)(), of.device)
    return added_peak(ready(model, of), of.device)


def timed(of: LanguageModelling, names: Sequence[str], rounds: int, memory: int) -> dict[str, Times]:
    """Each of the models, run in turn in this process."""
    _prepare(of, memory)
    return interleaved({name: ready(build(name, of), of) for name in names}, rounds, of.device)


def _prepare(of: LanguageModelling, memory: int) -> None:
    torch.set_num_threads(of.threads)
    if torch.device(of.device).type == "cpu":
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))  # then an allocation fails, and no process is killed


def crossover(rows: Sequence[Row], mode: str, peer: str) -> str:
    """From which length on the first model takes less time than a peer, between two measured ones on a log scale."""
    ours = rows[0].model
    medians: Mapping[tuple[str, int], float] = {(r.model, r.length): r.median_ms for r in rows if r.mode == mode}
    lengths = sorted(length for model, length in medians if model == peer and (ours, length) in medians)
    if not lengths:
        return f"{mode}: {peer} was not measured"
    gains = [math.log(medians[peer, length] / medians[ours, length]) for length in lengths]
    slower = [n for n, gain in enumerate(gains) if gain <= 0]
    last, most = lengths[-1], math.exp(gains[-1])
    if not slower:
        return f"{mode}: faster than {peer} at all lengths from {lengths[0]:,} tokens; {most:.1f} times at {last:,}"
    n = slower[-1]
    if n == len(lengths) - 1:
        return f"{mode}: not faster than {peer} up to {last:,} tokens"
    share = -gains[n] / (gains[n + 1] - gains[n])
    at = lengths[n] * (lengths[n + 1] / lengths[n]) ** share
    return f"{mode}: faster than {peer} from about {float(f'{at:.2g}'):,.0f} tokens on; {most:.1f} times at {last:,}"
