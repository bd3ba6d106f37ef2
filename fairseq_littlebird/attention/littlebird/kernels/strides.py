"""How tensors lie in memory where kernels read and write them.

Legend: B batch, L tokens, H heads, D head width.
"""

from __future__ import annotations

from torch import Tensor

ALIGNED_BYTES = 16  # that a thread reads at once


def alike(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors with the same strides, and rows without gaps; copied only where they are not so already."""
    if all(t.stride() == tensors[0].stride() and t.stride(-1) == 1 for t in tensors):
        return tensors
    return tuple(as_result(t) for t in tensors)


def as_result(t: Tensor) -> Tensor:
    """<float>[B, H, L, D], in memory [B, L, H, D]."""
    return t.transpose(1, 2).contiguous().transpose(1, 2)


def empty_as_result(t: Tensor) -> Tensor:
    """As much as <float>[B, H, L, D], in memory [B, L, H, D]."""
    B, H, L, D = t.shape
    return t.new_empty(B, L, H, D).transpose(1, 2)


def in_units(*tensors: Tensor) -> tuple[int, list[int]]:
    """UNIT and the strides of [B, H, L] in it, tensor by tensor: UNIT numbers, up to 16 bytes, divide every stride.

    Heads of width 40 are 80 bytes apart. Only a kernel that knows it can read 16 of them at once.
    """
    strides = [stride for t in tensors for stride in t.stride()[:3]]
    unit = ALIGNED_BYTES // tensors[0].itemsize
    while any(stride % unit for stride in strides):
        unit //= 2
    return unit, [stride // unit for stride in strides]
