"""Reading a document and writing its summary, beside transformers with the same weights.

Legend: B documents, T tokens to write of each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

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
from fairseq_littlebird.errors import UserError, first_line

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


def measure(of: Generation, rounds: int, memory: bool) -> tuple[list[Row], dict[str, str]]:
    """Ours and transformers' at one setting; transformers' has no row where it fails, and what is wrong is told.

    Args:
        of: what is written of what.
        rounds: how often each runs, besides a first time.
        memory: whether to measure peaks, each in a process of its own.
    Returns:
        the rows, ours first; and one line about each that failed, by name.
    Raises:
        OutOfMemory: ours does not fit.
    """
    peaks: dict[str, int] = {}
    failed: dict[str, str] = {}
    for name in RUNS if memory else ():
        try:
            peaks[name] = fresh_process(peak, of, name, variables=ALLOCATORS["exact"])
        except Exception as error:  # of another package, of any kind
            if name == OURS or library_is_missing(error):
                raise
            failed[name] = first_line(error)
    names = [name for name in RUNS if name not in failed]
    try:
        times = fresh_process(timed, of, rounds, names)
    except Exception as error:
        if names == [OURS] or library_is_missing(error):
            raise
        failed[THEIRS] = first_line(error)
        names = [OURS]
        times = fresh_process(timed, of, rounds, names)
    encode, decode = ({name: times[f"{part} {name}"] for name in names} for part in ("encode", "decode"))
    written = 1e3 * of.batch * of.tokens
    rows = [
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
            peak_mib=peaks[name] / 2**20 if name in peaks else None,
        )
        for name in names
    ]
    return rows, failed


def library_is_missing(error: Exception) -> bool:
    """Whether this is what is said where transformers is not installed: without its weights there are none for ours."""
    return isinstance(error, UserError) and not isinstance(error, OutOfMemory)


def timed(of: Generation, rounds: int, names: Sequence[str] = (OURS, THEIRS)) -> dict[str, Times]:
    """Both parts of each, run in turn in this process."""
    made = both(of)
    runs = {f"{part} {name}": getattr(made[name], part) for part in ("encode", "decode") for name in names}
    return interleaved(runs, rounds, of.device)


def both(of: Generation) -> dict[str, Runs]:
    """Ours and transformers', of the same weights."""
    torch.set_num_threads(of.threads)
    torch.manual_seed(0)
    theirs = their_model(of)
    return {OURS: our_runs(of, our_model(of, theirs)), THEIRS: their_runs(of, theirs)}


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
