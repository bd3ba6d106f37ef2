"""One layer's unpack and sliding-window attention: its backends side by side, and the floor of its products."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from fairseq_littlebird.attention import BiALiBi, unpack_window_attention
from fairseq_littlebird.attention.littlebird.backends import BACKENDS
from fairseq_littlebird.benchmarks.comparison import Benchmark
from fairseq_littlebird.benchmarks.floor import floor_run, together, window_products
from fairseq_littlebird.benchmarks.memory import added_peak
from fairseq_littlebird.benchmarks.timing import FLOOR, Measured, interleaved
from fairseq_littlebird.benchmarks.workload import PAD, Workload

FULL = "full"  # the peer: every token attends to every other, without a bias
CHOICES = tuple(name for name in BACKENDS if name != "auto")


def attention_run(name: str, workload: Workload) -> Callable[[], None]:
    """One pass of a backend, or of full attention, ready to run."""
    sizes, B, L = workload.sizes, workload.batch, workload.length
    H, S, D = sizes.heads, sizes.pack_size, sizes.head_width
    lengths = (L, L, L, S, S)  # laid out as a layer's: a token's heads together
    tensors = (workload.floating(B, n, H, D).transpose(1, 2).requires_grad_(workload.backward) for n in lengths)
    q, k, v, pack_k, pack_v = tensors
    slopes = BiALiBi(H).to(workload.device)
    padding_mask = workload.tokens().eq(PAD) if workload.padding else None
    dropout = workload.dropout if workload.backward else 0.0
    gradient = workload.floating(B, L, H, D).transpose(1, 2)
    attend = torch.compile(unpack_window_attention) if workload.compiled else unpack_window_attention

    def run() -> None:
        with torch.set_grad_enabled(workload.backward):
            if name == FULL:
                keep = None if padding_mask is None else ~padding_mask[:, None, None]
                result = F.scaled_dot_product_attention(q, k, v, keep, dropout)
            else:
                result = attend(
                    q, k, v, pack_k, pack_v, slopes, None, padding_mask, sizes.block_size, dropout, backend=name
                )
        if workload.backward:
            result.backward(gradient)

    return run


def unavailable(workload: Workload, names: Sequence[str]) -> dict[str, str]:
    """Why backends do not run here, by name; those that do are left out."""
    reasons = {}
    short = _short(workload)
    for name in names:
        try:
            attention_run(name, short)()
        except ValueError as error:
            reasons[name] = str(error)
    return reasons


def time_attention(workload: Workload, names: Sequence[str], rounds: int) -> Measured:
    """Medians of all backends, and of the floor, that run in turn in this process."""
    torch.set_num_threads(workload.threads)
    torch.manual_seed(0)
    runs = {name: attention_run(name, workload) for name in names}
    windows = [p for length in workload.lengths() for p in window_products(workload.sizes, length, together(workload))]
    runs[FLOOR] = floor_run(windows, workload)
    return Measured(interleaved(runs, rounds, workload.device), {})


def attention_peak(workload: Workload, name: str) -> int:
    """Bytes that a pass adds at its peak to its inputs; to be called in a fresh process."""
    torch.set_num_threads(workload.threads)
    attention_run(name, _short(workload))()  # loads libraries and starts threads, which stay
    return added_peak(attention_run(name, workload), workload.device)


def _short(workload: Workload) -> Workload:
    """Two blocks of one sequence."""
    return dataclasses.replace(workload, length=2 * workload.sizes.block_size, batch=1, compiled=False)


ATTENTION = Benchmark("attention", time_attention, attention_peak, layered=False)
