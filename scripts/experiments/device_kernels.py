"""The first ten minutes of the fused kernels on a CUDA device: needs torch and triton alone, installed or not.

    python scripts/experiments/device_kernels.py [--out device_kernels.jsonl] [--minutes 10]
    TRITON_INTERPRET=1 python scripts/experiments/device_kernels.py --device cpu     the checks, small, without a device

Every step runs in a process of its own, in the order of its worth, and appends what it finds to the file line by line:
a kernel that hangs, a rival that fails and a clock that runs out lose no other step. The status is 1 if a result is off
or a step of ``triton`` failed; rivals may fail.

    time triton        one base layer (12 heads of 64, S = b = 64), 8 x 8,192 tokens, bfloat16, beside its floor
    check DTYPE        result and every gradient against the float64 oracle, over sizes and kinds of arguments
    time RIVAL         in turns with triton; its other backward pass first
    stages             both backward passes for numbers of pipeline stages
    profile            microseconds a kernel
    check flex         the rival's own errors

The floor is the larger of operations over --tflops and bytes over --terabytes; a backward pass has five products.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # of a checkout that is not installed

import torch
import torch.nn.functional as F
from device_checks import DTYPES, Notes, check, describe, take_backward
from torch import Tensor

from fairseq_littlebird.attention import BiALiBi, backend_fault, unpack_window_attention

HEADS, WIDTH, PACK, BLOCK, BATCH, LENGTH = 12, 64, 64, 64, 8, 8192
FUSED = "triton, fused backward"
RIVALS = (FUSED, "triton with dropout", "triton, fused, with dropout", "flex", "unfolded", "full attention")
STAGES = (1, 2, 3, 4)
SLEEP = 5_000_000  # cycles the device is kept busy while the host enqueues what is timed
WARM_UP = 3  # runs that compile


def layer(device: str) -> tuple[dict[str, Callable[[], Tensor]], list[Tensor], Tensor]:
    """Forward passes by name, the leaves that all of them see, and an upstream gradient."""

    def random(length: int) -> Tensor:
        return torch.randn(BATCH, length, HEADS, WIDTH, device=device, dtype=torch.bfloat16).transpose(1, 2)

    q, k, v, pack_k, pack_v = leaves = [random(n).requires_grad_() for n in (LENGTH,) * 3 + (PACK,) * 2]
    slopes = BiALiBi(HEADS).to(device)
    given = (q, k, v, pack_k, pack_v, slopes, None, None, BLOCK)

    def fused_kernels(way: str, dropout_p: float = 0.0) -> Tensor:
        take_backward(way)  # of the gradients that are asked for next
        return unpack_window_attention(*given, dropout_p=dropout_p, backend="triton")

    cores = {name: lambda name=name: unpack_window_attention(*given, backend=name) for name in ("flex", "unfolded")}
    cores |= {name: lambda way=way: fused_kernels(way) for name, way in {"triton": "separate", FUSED: "fused"}.items()}
    cores["triton, fused, with dropout"] = lambda: fused_kernels("fused", 0.1)
    cores["triton with dropout"] = lambda: fused_kernels("separate", 0.1)
    cores["full attention"] = lambda: F.scaled_dot_product_attention(q, k, v)
    return cores, [*leaves, *slopes.parameters()], random(LENGTH)


def floors(tflops: float, terabytes: float) -> dict[bool, float]:
    """Milliseconds, forward, and forward and backward."""
    products = 2 * BATCH * HEADS * LENGTH * (PACK + 4 * BLOCK) * WIDTH  # operations of one matrix product
    tensor = 2 * BATCH * HEADS * LENGTH * WIDTH  # bytes of q
    forward = max(2 * products / tflops / 1e9, 4 * tensor / terabytes / 1e9)
    backward = max(5 * products / tflops / 1e9, 8 * tensor / terabytes / 1e9)  # S, dP, dV, dQ, dK
    return {False: forward, True: forward + backward}


def timed(
    cores: dict[str, Callable[[], Tensor]], leaves: list[Tensor], upstream: Tensor, backward: bool, runs: int
) -> Iterator[tuple[str, list[float], float]]:
    """Each core's times in milliseconds, in turns, and the MiB that it takes beyond its inputs."""
    taken: dict[str, list[float]] = {name: [] for name in cores}
    memory: dict[str, float] = {}
    for run in range(runs + WARM_UP):
        for name, core in cores.items():
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda._sleep(SLEEP)
            begun.record()
            with torch.set_grad_enabled(backward):
                result: Any = core()
                if backward:
                    result = torch.autograd.grad(result, leaves, upstream, allow_unused=True)
            ended.record()
            torch.cuda.synchronize()
            memory[name] = (torch.cuda.max_memory_allocated() - before) / 2**20
            if run >= WARM_UP:
                taken[name].append(begun.elapsed_time(ended))
            del result
    for name, times in taken.items():
        yield name, times, memory[name]


def time_cores(notes: Notes, names: list[str], options: argparse.Namespace, **about: Any) -> None:
    cores, leaves, upstream = layer(options.device)
    cores = {name: cores[name] for name in names}
    for backward, floor in floors(options.tflops, options.terabytes).items():
        for name, times, mebibytes in timed(cores, leaves, upstream, backward, options.runs):
            notes.add(
                **about, core=name, work="forward and backward" if backward else "forward",
                ms=round(statistics.median(times), 4), least=round(min(times), 4), most=round(max(times), 4),
                floor=round(floor, 4), times_floor=round(statistics.median(times) / floor, 2), MiB=round(mebibytes, 1),
            )  # fmt: skip


def time_stages(notes: Notes, options: argparse.Namespace) -> None:
    from fairseq_littlebird.attention.littlebird.kernels import launch

    for stages in STAGES:
        launch.STAGES = dict.fromkeys(launch.STAGES, stages)
        try:
            time_cores(notes, ["triton", FUSED], options, stages=stages)
        except Exception as error:  # shared memory may not hold so many
            notes.add(stages=stages, failed=describe(error))


def profile(notes: Notes, options: argparse.Namespace) -> None:
    cores, leaves, upstream = layer(options.device)
    for name in ("triton", FUSED, "triton with dropout", "triton, fused, with dropout"):
        for _ in range(WARM_UP):
            torch.autograd.grad(cores[name](), leaves, upstream)
        torch.cuda.synchronize()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as trace:
            for _ in range(options.runs):
                torch.autograd.grad(cores[name](), leaves, upstream)
            torch.cuda.synchronize()
        for row in sorted(trace.key_averages(), key=lambda row: -row.device_time_total)[:20]:
            notes.add(core=name, kernel=row.key[:80], us=round(row.device_time_total / options.runs, 1))


def step(options: argparse.Namespace) -> bool:
    """Does one step in this process; whether all was well."""
    notes, (kind, _, of) = Notes(options.out, options.step), options.step.partition(" ")
    if kind == "time":
        time_cores(notes, list(dict.fromkeys(["triton", of])), options)
    elif kind == "stages":
        time_stages(notes, options)
    elif kind == "profile":
        profile(notes, options)
    elif of in DTYPES:
        return check(notes, "triton", of, options.device, options.longest)
    else:
        return all([check(notes, of, dtype, options.device, options.longest) for dtype in DTYPES])
    return True


def plan(device: str) -> list[list[str]]:
    """Steps in their order; those of a list run at once, as compiling takes most of their time."""
    checks = [f"check {dtype}" for dtype in DTYPES]
    if device == "cpu":
        return [[name] for name in checks]
    rivals = [[f"time {name}"] for name in RIVALS]
    return [["time triton"], checks, *rivals, ["stages"], ["profile"], ["check flex"], ["check unfolded"]]


def is_required(name: str) -> bool:
    """Rivals may fail."""
    return name == "time triton" or name.removeprefix("check ") in DTYPES


def run(options: argparse.Namespace) -> bool:
    """Every step in a process of its own, until the time is over."""
    begun, good = time.monotonic(), True
    notes = Notes(options.out, "plan")
    for names in plan(options.device):
        left = 60 * options.minutes - (time.monotonic() - begun)
        if left <= 0:
            notes.add(left_out=names)
            good &= not any(map(is_required, names))
            continue
        words = [sys.executable, __file__, *options.words, "--step"]
        children = {name: subprocess.Popen([*words, name]) for name in names}
        end = time.monotonic() + min(left, 60 * options.step_minutes)
        for name, child in children.items():
            try:
                status: int | str = child.wait(max(1.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                status = "out of time"
            notes.add(finished=name, status=status, seconds=round(time.monotonic() - begun, 1))
            good &= status == 0 or not is_required(name)
    return good


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--out", type=Path, default=Path("device_kernels.jsonl"), help="findings are appended to it")
    parser.add_argument("--minutes", type=float, default=10, help="no step begins after them")
    parser.add_argument("--step-minutes", type=float, default=4, help="a step that takes longer is ended")
    parser.add_argument("--longest", type=int, default=10**6, help="tokens of the sizes to check; on a cpu: 80")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--tflops", type=float, default=720, help="matrix products in bfloat16; default: an H200's")
    parser.add_argument("--terabytes", type=float, default=4.8, help="a second; default: an H200's; an H100: 3.35")
    parser.add_argument("--step", help="this step alone, in this process")
    options = parser.parse_args(words)
    options.words = words
    if options.device == "cpu":
        options.longest = min(options.longest, 80)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "device_kernels: no CUDA device here; --device cpu with TRITON_INTERPRET=1 checks without one",
            file=sys.stderr,
        )
        return 2
    fault = backend_fault("triton", WIDTH, BLOCK, 0.0, torch.device(options.device), torch.float32)
    if fault is not None:
        print(f"device_kernels: {fault}", file=sys.stderr)
        return 2
    if options.step:
        try:
            return 0 if step(options) else 1
        except Exception as error:
            Notes(options.out, options.step).add(failed=describe(error))
            return 1
    notes = Notes(options.out, "device")
    device = torch.cuda.get_device_name() if options.device == "cuda" else "none, interpreted"
    notes.add(device=device, torch=torch.__version__, arguments=words)
    return 0 if run(options) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
