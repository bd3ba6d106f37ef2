"""How the kernels are launched: what they are compiled for, and how they cut their work.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from fairseq_littlebird.attention.littlebird.kernels.forward import forward_kernel

TYPES = {
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
    torch.float32: tl.float32,
    torch.float64: tl.float64,  # in the interpreter alone
}
CHUNKS = (1024, 512, 256, 128)  # queries a program sums gradients of packed keys or of block 0 over
STAGES = {"forward": 3, "queries": 3, "keys": 3, "fused": 2}  # tiles in flight
PROGRAMS = 4  # a multiprocessor: fewer leave some idle at the end
INTERPRETED = not isinstance(forward_kernel, triton.JITFunction)  # TRITON_INTERPRET=1: on any device, slowly


class Tiles(NamedTuple):
    """How a kernel cuts its work: M queries by N keys."""

    queries: int
    keys: int


def tiles(width: int, block_size: int, itemsize: int) -> dict[str, Tiles]:
    """By kernel: as large as 4 warps hold without spilling registers, compiled for compute capability 9.0.

    The fused backward kernel spills; smaller tiles would cost it more.
    """
    wide = width > 64
    if itemsize == 2:
        sizes = {"forward": (64, 64), "queries": (64, 16 if wide else 32), "keys": (32, 64), "fused": (64, 64)}
    elif wide:
        sizes = dict.fromkeys(("forward", "queries", "keys", "fused"), (16, 16))
    else:
        sizes = {"forward": (32, 32), "queries": (16, 32), "keys": (32, 32), "fused": (32, 32)}
    return {name: Tiles(min(m, block_size), min(n, block_size)) for name, (m, n) in sizes.items()}


def constants(q: Tensor, block_size: int, dropout_p: float, kernel: str, unit: int) -> dict[str, Any]:
    """What a kernel is compiled for; ``kernel`` is a key of :func:`tiles`."""
    D = q.shape[3]
    tile = tiles(D, block_size, q.dtype.itemsize)[kernel]
    operand = torch.float32 if INTERPRETED and q.dtype == torch.bfloat16 else q.dtype
    return {
        "D": D,
        "BLOCK": block_size,
        "M": tile.queries,
        "N": tile.keys,
        "WIDTH": max(16, triton.next_power_of_2(D)),
        "UNIT": unit,
        "THRESHOLD": round(dropout_p * 2**32),
        "OPERAND": TYPES[operand],
        "PRECISION": "tf32x3" if q.dtype == torch.float32 else None,  # as exact as float32, on tensor cores
        "WIDE": TYPES[wide(q)],
        "num_warps": 4,
        "num_stages": STAGES[kernel],
        "enable_fp_fusion": True,
    }


def wide(q: Tensor) -> torch.dtype:
    """What scores and sums are computed in."""
    return torch.promote_types(q.dtype, torch.float32)


def of_sequences(where: Tensor) -> int:
    """From the places of one sequence to those of the next; 0 where all share them."""
    return where.stride(0) if where.shape[0] > 1 else 0


def chunk_length(L: int, rows: int, device: torch.device) -> int:
    """Queries a program sums over: as many as leave each multiprocessor its programs.

    Args:
        L: queries.
        rows: programs a chunk.
    """
    if device.type != "cuda":
        return CHUNKS[0]
    wanted = PROGRAMS * torch.cuda.get_device_properties(device).multi_processor_count
    return next((chunk for chunk in CHUNKS if rows * triton.cdiv(L, chunk) >= wanted), CHUNKS[-1])
