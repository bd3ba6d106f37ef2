"""What other processes on the same cores cost, by how threads wait for each other and by how many there are.

    python scripts/experiments/busy.py --loops 0 1 2 --threads 1 2 --settings default GOMP_SPINCOUNT=1000

Each setting has a process of its own; they run in turn, once a round, beside so many processes that keep a core busy.
A row has the median of each, and in brackets the fastest and the slowest round; then how many times as long it takes as
without other processes, beside how many times as long it would take with its fair share of the cores.
"""

from __future__ import annotations

import argparse
import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

WORKER = """
import sys, time, torch
from fairseq_littlebird.benchmarks.pipeline import encoder
size, batch, length, backward, threads = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
model = encoder(size).train(bool(backward))
tokens = torch.randint(5, 1000, (batch, length))
for _ in sys.stdin:
    begun = time.monotonic()
    with torch.set_grad_enabled(bool(backward)):
        result = model(tokens)
        if backward:
            result.sum().backward()
    print(time.monotonic() - begun, flush=True)
"""
CASES = {"training, tiny 16 x 512": ("tiny", 16, 512, 1), "prediction, base 1 x 512": ("base", 1, 512, 0)}
BUSY = "while True: pass"
LONGEST = 60.0
"""Seconds of a round after which its process is given up."""


class Worker:
    """A process that runs a case once for every line that it reads.

    Args:
        case: size, sequences, tokens of each, whether with gradients.
        threads: of PyTorch.
        setting: NAME=VALUE of its environment, or "default".
    """

    def __init__(self, case: tuple[str, int, int, int], threads: int, setting: str) -> None:
        variables = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
        if setting != "default":
            name, _, value = setting.partition("=")
            variables[name] = value
        self.command = [sys.executable, "-c", WORKER, *map(str, case), str(threads)]
        self.variables = variables | {"OMP_NUM_THREADS": str(threads)}
        self.process: subprocess.Popen[str] | None = None
        self.run()  # loads and warms up

    def run(self) -> float:
        """Seconds of one round; infinity where it took too long."""
        first = self.process is None
        if self.process is None:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.process = subprocess.Popen(self.command, env=self.variables, **pipes)  # type: ignore[call-overload]
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], 600 if first else LONGEST)[0]:
            self.end()
            return float("inf")
        return float(self.process.stdout.readline())

    def end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """With so many processes that do nothing but keep a core busy."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(loops)]
    try:
        time.sleep(0.2 * bool(loops))
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def fair(threads: int, loops: int, cores: int) -> float:
    """How many times as long it takes with its share of the cores: as much for each thread as for each loop."""
    share = min(1.0, cores / (threads + loops))
    return min(1.0, cores / threads) / share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", type=int, nargs="+", default=[0, 1, 2], help="busy processes beside")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    settings = ["default", "GOMP_SPINCOUNT=10000", "GOMP_SPINCOUNT=1000", "OMP_WAIT_POLICY=passive"]
    parser.add_argument("--settings", nargs="+", default=settings, help="NAME=VALUE of the environment, or default")
    parser.add_argument(
        "--cases", nargs="+", type=int, default=list(range(len(CASES))), help="0 training, 1 prediction"
    )
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores")
    for name in [list(CASES)[number] for number in options.cases]:
        # one thread waits for none, however it would
        ways = [(t, s) for t in options.threads for s in (options.settings if t > 1 else ["default"])]
        workers = {(threads, setting): Worker(CASES[name], threads, setting) for threads, setting in ways}
        for loops in options.loops:
            with busy(loops):
                taken: dict[tuple[int, str], list[float]] = {way: [] for way in workers}
                for _ in range(options.runs):
                    for way, worker in workers.items():
                        if float("inf") not in taken[way]:
                            taken[way].append(worker.run())
            for way, seconds in taken.items():
                show(name, way, loops, seconds, cores)
        for worker in workers.values():
            worker.end()


ALONE: dict[object, float] = {}
"""Median without busy processes, by case and way."""


def show(name: str, way: tuple[int, str], loops: int, seconds: list[float], cores: int) -> None:
    """A row of the table."""
    median = statistics.median(seconds)
    if not loops:
        ALONE[name, way] = median
    threads, setting = way
    times = median / ALONE[name, way] if (name, way) in ALONE else float("nan")
    print(
        f"{name:<26} {threads} threads, {setting:<24} beside {loops}: {1e3 * median:7,.0f} ms "
        f"[{1e3 * min(seconds):,.0f} - {1e3 * max(seconds):,.0f}], {times:.2f} times as long, "
        f"fair {fair(threads, loops, cores):.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
