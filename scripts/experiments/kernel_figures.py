"""The fused kernels compiled for compute capability 9.0, which needs no device: what they take of it.

    python scripts/experiments/kernel_figures.py [--only forward]

For every kernel and kind of arguments: registers and bytes of stack a thread, bytes of shared memory a program, all
instructions, and those of each loop that multiplies matrices, outer ones without their inner ones.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # of a checkout that is not installed

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from fairseq_littlebird.attention.littlebird.kernels.forward import forward_kernel
from fairseq_littlebird.attention.littlebird.kernels.fused_backward import delta_kernel, fused_backward_kernel
from fairseq_littlebird.attention.littlebird.kernels.keys_backward import PACKED, WINDOW, ZERO, keys_backward_kernel
from fairseq_littlebird.attention.littlebird.kernels.launch import constants as constants_of
from fairseq_littlebird.attention.littlebird.kernels.queries_backward import queries_backward_kernel
from fairseq_littlebird.attention.littlebird.kernels.strides import in_units


class Variant(NamedTuple):
    """A kernel, what it is called, whose tiles it has, and constants of its own."""

    title: str
    kernel: Any
    tiles: str
    constants: dict[str, int] = {}


VARIANTS = (
    Variant("forward", forward_kernel, "forward"),
    Variant("queries, backward", queries_backward_kernel, "queries"),
    Variant("packed keys, backward", keys_backward_kernel, "keys", {"KEYS": PACKED.value}),
    Variant("keys of block 0, backward", keys_backward_kernel, "keys", {"KEYS": ZERO.value}),
    Variant("window keys, backward", keys_backward_kernel, "keys", {"KEYS": WINDOW.value}),
)
FUSED = (
    Variant("fused backward", fused_backward_kernel, "fused"),
    Variant("fused backward, delta", delta_kernel, "fused"),
)


class Kind(NamedTuple):
    """What a kernel is compiled for."""

    dtype: torch.dtype
    D: int
    b: int
    dropout_p: float
    optional: bool  # slopes and padding are there


KINDS = (
    Kind(torch.bfloat16, 64, 64, 0.0, True),
    Kind(torch.bfloat16, 64, 64, 0.1, True),
    Kind(torch.bfloat16, 128, 128, 0.1, True),
    Kind(torch.float32, 64, 64, 0.1, True),
)


def compiled(variant: Variant, kind: Kind) -> Any:
    """A kernel as a device of compute capability 9.0 would get it."""
    kernel = variant.kernel
    q = torch.empty(1, 2, 1, kind.D, dtype=kind.dtype, device="meta")
    unit, _ = in_units(q)
    constants = constants_of(q, kind.b, kind.dropout_p, variant.tiles, unit) | variant.constants
    options = {option: constants.pop(option) for option in ("num_warps", "num_stages", "enable_fp_fusion")}
    of_inputs = {torch.bfloat16: "*bf16", torch.float16: "*fp16", torch.float32: "*fp32"}[kind.dtype]
    types = dict.fromkeys(("slopes_ptr", "places_ptr", "log_sum_ptr", "delta_ptr", "dslopes_ptr"), "*fp32")
    types |= {"extent_ptr": "*i32", "words_ptr": "*i64", "scale": "fp32", "keep_scale": "fp32"}
    of_shares = ("wide_dq_ptr", "sums_ptr", "dpack_k_ptr", "dpack_v_ptr", "dzero_k_ptr", "dzero_v_ptr")
    types |= dict.fromkeys(of_shares, "*fp32")
    if variant.constants.get("KEYS") in (PACKED.value, ZERO.value):
        types |= {"dk_ptr": "*fp32", "dv_ptr": "*fp32"}
    absent = set() if kind.dropout_p else {"words_ptr"}
    absent |= set() if kind.dtype.itemsize == 2 else {"rest_ptr"}
    absent |= set() if kind.optional else {"slopes_ptr", "extent_ptr", "sums_ptr"}
    constants = {name: value for name, value in constants.items() if name in kernel.arg_names}
    signature, given, aligned = {}, {}, {}
    for index, name in enumerate(kernel.arg_names):
        if name in constants or name in absent:
            signature[name], given[name] = "constexpr", constants.get(name)
            continue
        signature[name] = types.get(name, of_inputs if name.endswith("_ptr") else "i32")
        if name.endswith("_ptr"):
            aligned[(index,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, given, aligned)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)


def inspected(binary: Any, option: str) -> str:
    """What cuobjdump says of compiled code."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(binary.asm["cubin"])
        return subprocess.run([tool, option, path], capture_output=True, text=True, check=True).stdout


def usage(binary: Any) -> tuple[int, int]:
    """Registers and bytes of stack a thread: where there is a stack, registers were spilled."""
    listing = inspected(binary, "-res-usage")
    return tuple(int(re.search(rf"{name}:(\d+)", listing)[1]) for name in ("REG", "STACK"))


def instructions(binary: Any) -> tuple[int, list[int]]:
    """All of them, and those of each loop that multiplies matrices, its inner loops left out."""
    code = re.findall(r"^\s+/\*([0-9a-f]{4,})\*/\s+(.*?);", inspected(binary, "-sass"), re.MULTILINE)
    places = {int(place, 16): number for number, (place, _) in enumerate(code)}
    loops = []
    for number, (_, text) in enumerate(code):
        branch = re.search(r"\bBRA\b.*?0x([0-9a-f]+)", text)
        if branch and places.get(int(branch[1], 16), number) < number:
            loops.append((places[int(branch[1], 16)], number))
    sizes = []
    for begin, end in loops:
        inner = {n for first, last in loops if begin <= first and last < end for n in range(first, last + 1)}
        own = [code[n][1] for n in range(begin, end + 1) if n not in inner]
        if any("MMA" in text for text in own):
            sizes.append(len(own))
    return sum("NOP" not in text for _, text in code), sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="kernels whose names begin so")
    options = parser.parse_args()
    print(f"triton {triton.__version__}")
    print(f"{'':>28} {'registers':>9} {'stack':>6} {'shared':>7} {'instructions':>12}  of loops")
    for kind in KINDS:
        print(f"{str(kind.dtype)[6:]}, D = {kind.D}, b = {kind.b}{', dropout' if kind.dropout_p else ''}")
        variants = VARIANTS + (FUSED if kind.dtype.itemsize == 2 and kind.D <= 64 else ())
        for variant in (variant for variant in variants if variant.title.startswith(options.only)):
            binary = compiled(variant, kind)
            registers, stack = usage(binary)
            total, loops = instructions(binary)
            of_loops = " ".join(map(str, loops))
            memory = binary.metadata.shared
            print(f"{variant.title:>28} {registers:>9} {stack:>6} {memory:>7} {total:>12}  {of_loops}", flush=True)


if __name__ == "__main__":
    main()
