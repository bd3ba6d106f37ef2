"""Reading a document and writing its summary, beside transformers with the same weights.

Legend: B documents, T tokens to write of each.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from fairseq_littlebird.benchmarks.generation_models import (
    Generation,
    Runs,
    our_model,
    our_runs,
    their_model,
    their_runs,
)
from fairseq_littlebird.benchmarks.memory import added_peak
from fairseq_littlebird.benchmarks.processes import ALLOCATORS, OutOfMemory, fresh_process
from fairseq_littlebird.benchmarks.timing import Times, interleaved
from fairseq_littlebird.benchmarks.workload import SIZES

OURS, THEIRS = "ours", "transformers"


@dataclass(frozen=True)
class Row:
    """One model at one setting; rates are B · T / time, whatever the beam."""

    family: str
    model: str
    length: int
    batch: int
    beam: int
    tokens: int
    layers: int
    width: int
    vocabulary: int
    threads: int
    encode_ms: float
    encode_fastest_ms: float
    encode_slowest_ms: float
    decode_tokens_per_s: float
    decode_slowest: float
    decode_fastest: float
    encode_ratio: float  # how many times as long as ours
    decode_ratio: float
    peak_mib: float | None  # beyond weights and inputs, of reading and writing


HEADER = (
    f"{'family':16} {'model':13} {'tokens':>7} {'batch':>5} {'beam':>4} {'read, ms':>24} {'×':>6} "
    f"{'written, tokens/s':>24} {'×':>6} {'peak MiB':>9}"
)


def line(row: Row) -> str:
    """A row of the table under ``HEADER``; × is how many times as long as ours."""
    encode = f"{row.encode_ms:.0f} [{row.encode_fastest_ms:.0f}–{row.encode_slowest_ms:.0f}]"
    decode = f"{row.decode_tokens_per_s:.1f} [{row.decode_slowest:.1f}–{row.decode_fastest:.1f}]"
    peak = "" if row.peak_mib is None else f"{row.peak_mib:.0f}"
    return (
        f"{row.family:16} {row.model:13} {row.length:>7,} {row.batch:>5} {row.beam:>4} {encode:>24} "
        f"{row.encode_ratio:>6.2f} {decode:>24} {row.decode_ratio:>6.2f} {peak:>9}"
    )


def measure(of: Generation, rounds: int, memory: bool) -> list[Row]:
    """Ours and transformers' at one setting.

    Args:
        of: what is written of what.
        rounds: how often each runs, besides a first time.
        memory: whether to measure peaks, each in a process of its own.
    Raises:
        OutOfMemory: of the timing; a peak that does not fit is None.
    """
    times = fresh_process(timed, of, rounds)
    peaks = {name: peak_or_none(of, name) if memory else None for name in RUNS}
    encode, decode = ({name: times[f"{part} {name}"] for name in RUNS} for part in ("encode", "decode"))
    written = 1e3 * of.batch * of.tokens
    return [
        Row(
            family=of.family,
            model=name,
            length=of.length,
            batch=of.batch,
            beam=of.beam,
            tokens=of.tokens,
            layers=of.layers,
            width=of.sizes.width,
            vocabulary=of.vocabulary,
            threads=of.threads,
            encode_ms=encode[name].median,
            encode_fastest_ms=encode[name].fastest,
            encode_slowest_ms=encode[name].slowest,
            decode_tokens_per_s=written / decode[name].median,
            decode_slowest=written / decode[name].slowest,
            decode_fastest=written / decode[name].fastest,
            encode_ratio=encode[name].median / encode[OURS].median,
            decode_ratio=decode[name].median / decode[OURS].median,
            peak_mib=None if (most := peaks[name]) is None else most / 2**20,
        )
        for name in RUNS
    ]


def timed(of: Generation, rounds: int) -> dict[str, Times]:
    """Both parts of both, run in turn in this process."""
    made = both(of)
    runs = {f"{part} {name}": getattr(runs, part) for part in ("encode", "decode") for name, runs in made.items()}
    return interleaved(runs, rounds, of.device)


def both(of: Generation) -> dict[str, Runs]:
    """Ours and transformers', of the same weights."""
    torch.set_num_threads(of.threads)
    torch.manual_seed(0)
    theirs = their_model(of)
    return {OURS: our_runs(of, our_model(of, theirs)), THEIRS: their_runs(of, theirs)}


def peak_or_none(of: Generation, name: str) -> int | None:
    """:func:`peak` in a fresh process; None where it does not fit into memory."""
    try:
        return fresh_process(peak, of, name, variables=ALLOCATORS["exact"])
    except OutOfMemory:
        return None


def peak(of: Generation, name: str) -> int:
    """Bytes that reading and writing add at their peak to weights and inputs; to be called in a fresh process."""
    torch.set_num_threads(of.threads)
    twin = dataclasses.replace(of, sizes=SIZES["tiny"], layers=1, length=1024, batch=1, tokens=2)
    RUNS[name](twin).whole()  # loads libraries, which stay
    return added_peak(RUNS[name](of).whole, of.device)


def _ours(of: Generation) -> Runs:
    return our_runs(of, our_model(of, their_model(of)))


def _theirs(of: Generation) -> Runs:
    return their_runs(of, their_model(of))


RUNS = {OURS: _ours, THEIRS: _theirs}


def write_csv(path: Path, rows: list[Row], record: Mapping[str, str]) -> None:
    """Every row with the environment."""
    columns = [field.name for field in dataclasses.fields(Row)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*columns, *record])
        writer.writeheader()
        for row in rows:
            writer.writerow(dataclasses.asdict(row) | dict(record))
