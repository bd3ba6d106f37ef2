"""Time and peak memory of one layer's USWAttn by length, blockwise beside the dense reference.

    python benchmarks/unpack_window.py [--lengths 512 1024 …] [--threads 2]

Base size (12 heads of 64, S = b = 64), float32, one sequence, forward and backward; medians of interleaved runs.
Memory is the process's peak beyond what it has before the first run, each case in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from fairseq_littlebird.attention import BiALiBi, unpack_window_attention

HEADS, WIDTH, PACK, BLOCK = 12, 64, 64, 64


def case(backend: str, length: int) -> Callable[[], None]:
    """One forward and backward pass, ready to run."""
    q, k, v = (torch.randn(1, HEADS, length, WIDTH, requires_grad=True) for _ in range(3))
    pack_k, pack_v = (torch.randn(1, HEADS, PACK, WIDTH, requires_grad=True) for _ in range(2))
    slopes = BiALiBi(HEADS)

    def run() -> None:
        out = unpack_window_attention(q, k, v, pack_k, pack_v, slopes, None, None, BLOCK, backend=backend)
        out.sum().backward()

    return run


def peak(backend: str, length: int) -> float:
    """MiB that a pass adds to a process's peak."""
    words = [sys.executable, __file__, "--peak", backend, str(length)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def high_water() -> float:
    """The process's own peak of resident memory in MiB; getrusage would begin with its parent's."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096, 8192, 16384])
    parser.add_argument("--dense-up-to", type=int, default=4096, help="longest length of the dense reference")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peak", nargs=2, metavar=("BACKEND", "LENGTH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        run = case(options.peak[0], int(options.peak[1]))
        before = high_water()
        run()
        print(high_water() - before)
        return

    print(f"{'length':>7} {'backend':>10} {'ms':>9} {'range':>17} {'us/token':>9} {'peak MiB':>9}")
    for length in options.lengths:
        backends = ["blockwise"] + ["dense"] * (length <= options.dense_up_to)
        runs = {backend: case(backend, length) for backend in backends}
        times: dict[str, list[float]] = {backend: [] for backend in backends}
        for _ in range(options.runs + 1):
            for backend, run in runs.items():
                begun = time.perf_counter()
                run()
                times[backend].append(1e3 * (time.perf_counter() - begun))
        for backend in backends:
            taken = times[backend][1:]  # the first one warms up
            median = statistics.median(taken)
            spread = f"{min(taken):.1f} - {max(taken):.1f}"
            per_token = 1e3 * median / length
            print(
                f"{length:>7} {backend:>10} {median:>9.1f} {spread:>17} {per_token:>9.2f} "
                f"{peak(backend, length):>9.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
