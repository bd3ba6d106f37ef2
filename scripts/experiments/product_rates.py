"""What a processor multiplies matrices at: GFLOP/s of a base model's linear layer in float32, bfloat16 and int8.

    python product_rates.py [--tokens 2048] [--width 768] [--threads 2] [--runs 9]

Everything runs in turn; medians, fastest and slowest. The ratio of two rates is the least that a change of precision
can bring.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable

import torch
from torch import nn

from fairseq_littlebird.benchmarks.environment import environment
from fairseq_littlebird.benchmarks.timing import interleaved


def products(tokens: int, width: int) -> dict[str, Callable[[], object]]:
    """One product of [tokens, width] and [width, 4 · width] in each precision."""
    x, layer = torch.randn(tokens, width), nn.Linear(width, 4 * width, bias=False)
    half_x, half = x.bfloat16(), nn.Linear(width, 4 * width, bias=False).bfloat16()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and yet the only one in torch itself
        whole = torch.ao.quantization.quantize_dynamic(nn.Sequential(layer), {nn.Linear}, torch.qint8)
    return {"float32": lambda: layer(x), "bfloat16": lambda: half(half_x), "int8": lambda: whole(x)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(", ".join(f"{key} {value}" for key, value in environment().items() if value))
    operations = 2 * options.tokens * options.width * 4 * options.width
    with torch.no_grad():
        times = interleaved(products(options.tokens, options.width), options.runs)
    for name, taken in times.items():
        median, slowest, fastest = (operations / ms / 1e6 for ms in (taken.median, taken.slowest, taken.fastest))
        print(f"{name:<9} {median:7.0f} GFLOP/s [{slowest:.0f} – {fastest:.0f}]")


if __name__ == "__main__":
    main()
