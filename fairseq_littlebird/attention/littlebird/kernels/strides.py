"""How tensors lie in memory where kernels read and write them.

Legend: B batch, L tokens, H heads, D head width.
"""

from __future__ import annotations

from torch import Tensor


def alike(q: Tensor, k: Tensor, v: Tensor) -> list[Tensor]:
    """q, k and v with the same strides, and rows without gaps; copied only where they are not so already."""
    if q.stride() == k.stride() == v.stride() and q.stride(-1) == 1:
        return [q, k, v]
    return [as_result(t) for t in (q, k, v)]


def as_result(t: Tensor) -> Tensor:
    """<float>[B, H, L, D], in memory [B, L, H, D]."""
    return t.transpose(1, 2).contiguous().transpose(1, 2)


def empty_as_result(t: Tensor) -> Tensor:
    """As much as <float>[B, H, L, D], in memory [B, L, H, D]."""
    B, H, L, D = t.shape
    return t.new_empty(B, L, H, D).transpose(1, 2)


def of_sequences(positions: Tensor) -> int:
    """From one sequence of <float>[B or 1, L] to the next; 0 where all share their positions."""
    return positions.shape[1] if positions.shape[0] > 1 else 0
