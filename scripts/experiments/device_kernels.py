"""The fused kernels on a CUDA device: held to the float64 oracle, then timed beside their floor and their rivals.

    python device_kernels.py [--csv FILE] [--runs 30]
    TRITON_INTERPRET=1 python device_kernels.py --device cpu       the first part, small, without a device

First every backend against the oracle, result and gradients, by dtype; the exit status is 1 if one is off. Then the
core of one base layer (12 heads of 64, S = b = 64) on 8 sequences of 8,192 tokens in bfloat16, forward, and forward
and backward: medians of interleaved runs by CUDA events, and memory beyond the inputs. The floor is the larger of
operations over --tflops and bytes over --terabytes; a full backward pass recomputes the scores.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention import (
    BiALiBi,
    backend_fault,
    dense_unpack_window_attention,
    unpack_window_attention,
)

TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 2e-2}
SIZES = [  # L, b, S, D
    (1, 64, 64, 64),
    (63, 32, 0, 64),
    (65, 64, 1, 64),
    (111, 32, 32, 32),
    (300, 128, 128, 128),
    (515, 64, 64, 80),
    (1000, 64, 64, 64),
]
HEADS, WIDTH, PACK, BLOCK, BATCH, LENGTH = 12, 64, 64, 64, 8, 8192
NAMES = ("q", "k", "v", "pack_k", "pack_v")


def arguments(
    L: int, b: int, S: int, D: int, dtype: torch.dtype, device: str, B: int = 2, H: int = 4
) -> dict[str, Tensor]:
    """Tensors as a layer makes them, [B, L, H, D] in memory, with padding on both sides and gaps in positions."""
    rng = torch.Generator().manual_seed(L)
    sizes = {"q": L, "k": L, "v": L, "pack_k": S, "pack_v": S}
    given = {
        n: torch.randn(B, size, H, D, generator=rng).to(device, dtype).transpose(1, 2) for n, size in sizes.items()
    }
    index = torch.arange(L)
    padding = torch.stack([(index < L // 7 * row) | (index >= L - L // 5 * (1 - row)) for row in range(B)])
    positions = torch.randint(1, 4, (B, L), generator=rng).cumsum(1)
    return given | {"positions": positions.to(device), "padding_mask": padding.to(device)}


def values(
    function: Callable[..., Tensor], given: dict[str, Tensor], slopes: BiALiBi, upstream: Tensor, b: int
) -> list[Tensor]:
    """The result and every gradient, padded queries left out."""
    leaves = {n: given[n].detach().requires_grad_() for n in NAMES}
    result = function(**given | leaves, slopes=slopes, block_size=b)
    result = result.masked_fill(given["padding_mask"][:, None, :, None], 0.0)
    return [result.detach(), *torch.autograd.grad(result, [*leaves.values(), *slopes.parameters()], upstream)]


def errors(backend: str, size: tuple[int, ...], dtype: torch.dtype, device: str) -> list[float]:
    """Relative distances from the oracle: of the result, of q, k, v, pack_k, pack_v, and of α, β, γ."""
    _, b, _, _ = size
    given = arguments(*size, dtype, device)
    slopes = BiALiBi(given["q"].shape[1]).to(device)
    slopes.alpha.data.fill_(0.3)
    upstream = torch.randn_like(given["q"])
    actual = values(lambda **a: unpack_window_attention(**a, backend=backend), given, slopes, upstream, b)
    wide = given | {n: given[n].double() for n in NAMES}
    exact = BiALiBi(len(slopes.alpha)).to(device).double()
    exact.load_state_dict(slopes.state_dict())
    expected = values(lambda **a: dense_unpack_window_attention(**a)[0], wide, exact, upstream.double(), b)
    pairs = zip(actual, expected, strict=True)
    return [float((got.double() - wanted).norm() / (wanted.norm() + 0.1)) for got, wanted in pairs]


def check(backends: list[str], sizes: list[tuple[int, ...]], device: str) -> bool:
    """Prints the largest errors over the sizes; whether all are within tolerance."""
    good = True
    print(f"{'backend':>10} {'dtype':>9} {'result':>9} {'gradients':>9} {'slopes':>9} {'tolerance':>9}")
    for backend in backends:
        for dtype, tolerance in TOLERANCES.items():
            result, *of_inputs = map(max, zip(*(errors(backend, s, dtype, device) for s in sizes), strict=True))
            worst = result, max(of_inputs[:5]), max(of_inputs[5:])
            # the rounded result enters the slopes' gradients of FlexAttention, times distances
            off = max(worst[: 2 if backend == "flex" else 3]) > tolerance
            good &= not off
            figures = " ".join(f"{value:>9.1e}" for value in (*worst, tolerance))
            print(f"{backend:>10} {str(dtype)[6:]:>9} {figures}{'  OFF' if off else ''}", flush=True)
    return good


def rivals(device: str) -> tuple[dict[str, Callable[[], Tensor]], list[Tensor]]:
    """Forward passes by name, and the leaves that all of them see."""
    shape = BATCH, LENGTH, HEADS, WIDTH
    q, k, v = (torch.randn(shape, device=device, dtype=torch.bfloat16).transpose(1, 2) for _ in range(3))
    pack = (BATCH, PACK, HEADS, WIDTH)
    pack_k, pack_v = (torch.randn(pack, device=device, dtype=torch.bfloat16).transpose(1, 2) for _ in range(2))
    for t in (q, k, v, pack_k, pack_v):
        t.requires_grad_()
    slopes = BiALiBi(HEADS).to(device)
    given = (q, k, v, pack_k, pack_v, slopes, None, None, BLOCK)
    cores: dict[str, Callable[[], Tensor]] = {
        "triton": lambda: unpack_window_attention(*given, backend="triton"),
        "triton, dropout": lambda: unpack_window_attention(*given, dropout_p=0.1, backend="triton"),
        "flex": lambda: unpack_window_attention(*given, backend="flex"),
        "unfolded": lambda: unpack_window_attention(*given, backend="unfolded"),
        "full attention": lambda: F.scaled_dot_product_attention(q, k, v),
    }
    return cores, [q, k, v, pack_k, pack_v, *slopes.parameters()]


def floors(tflops: float, terabytes: float) -> dict[bool, float]:
    """Milliseconds, forward, and forward and backward."""
    products = 2 * BATCH * HEADS * LENGTH * (PACK + 4 * BLOCK) * WIDTH  # of one matrix product
    tensor = 2 * BATCH * HEADS * LENGTH * WIDTH  # bytes of q
    forward = max(2 * products / tflops / 1e9, 4 * tensor / terabytes / 1e9)
    # forward's and dP, dV, dQ, dK, with S and dP once more for keys whose queries are another program's
    backward = max(6.2 * products / tflops / 1e9, 12 * tensor / terabytes / 1e9)
    return {False: forward, True: forward + backward}


def time(options: argparse.Namespace) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    cores, leaves = rivals(options.device)
    upstream = torch.randn(BATCH, LENGTH, HEADS, WIDTH, device=options.device, dtype=torch.bfloat16).transpose(1, 2)
    for backward, floor in floors(options.tflops, options.terabytes).items():
        taken: dict[str, list[float]] = {name: [] for name in cores}
        memory: dict[str, float] = {}
        for run in range(options.runs + 3):  # the first three compile and warm up
            for name, core in cores.items():
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
                begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                begun.record()
                with torch.set_grad_enabled(backward):
                    result = core()
                    if backward:
                        result = torch.autograd.grad(result, leaves, upstream, allow_unused=True)
                ended.record()
                torch.cuda.synchronize()
                memory[name] = (torch.cuda.max_memory_allocated() - before) / 2**20
                if run >= 3:
                    taken[name].append(begun.elapsed_time(ended))
                del result
        work = "forward + backward" if backward else "forward"
        print(f"\n{work}; floor {floor:.3f} ms")
        print(f"{'':>16} {'ms':>8} {'range':>16} {'x floor':>8} {'MiB':>7}")
        for name, times in taken.items():
            median = statistics.median(times)
            spread = f"{min(times):.3f} - {max(times):.3f}"
            print(f"{name:>16} {median:>8.3f} {spread:>16} {median / floor:>8.2f} {memory[name]:>7.0f}")
            rows.append({"core": name, "work": work, "ms": median, "least": min(times), "most": max(times),
                         "floor": floor, "MiB": memory[name]})  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--tflops", type=float, default=720, help="matrix products in bfloat16; default: an H200's")
    parser.add_argument("--terabytes", type=float, default=4.8, help="memory bandwidth a second; default: an H200's")
    parser.add_argument("--csv", type=Path, help="also write the timings there")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "device_kernels: no CUDA device here; --device cpu with TRITON_INTERPRET=1 checks without one",
            file=sys.stderr,
        )
        raise SystemExit(2)
    fault = backend_fault("triton", WIDTH, BLOCK, 0.0, torch.device(options.device), torch.float32)
    if fault is not None:
        print(f"device_kernels: {fault}", file=sys.stderr)
        raise SystemExit(2)
    on_device = options.device == "cuda"
    sizes = SIZES if on_device else [size for size in SIZES if size[0] < 100]
    good = check(["triton", "blockwise", "unfolded"] + ["flex"] * on_device, sizes, options.device)
    if on_device:
        print(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}")
        rows = time(options)
        if options.csv:
            with options.csv.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, rows[0].keys())
                writer.writeheader()
                writer.writerows(rows)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
