"""Rotary positions (Su et al., 2021, section 3.2.2): queries and keys are turned by their positions.

Legend: B batch, L tokens, H heads, D head width, even.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rotation(NamedTuple):
    """By what each position turns each pair of a head's components."""

    cos: Tensor  # <float32>[L, D / 2]
    sin: Tensor  # <float32>[L, D / 2]


def rotation(length: int, head_width: int, theta: float, device: torch.device | None = None) -> Rotation:
    """Of positions 0 … L-1: pair i turns by the angle position · theta^(-2i / D).

    Args:
        length, head_width: L and D.
        theta: the base of the frequencies.
        device: of the result.
    """
    pair = torch.arange(0, head_width, 2, dtype=torch.float32, device=device)
    frequency = 1.0 / theta ** (pair / head_width)
    angle = torch.arange(length, dtype=torch.float32, device=device)[:, None] * frequency
    return Rotation(angle.cos(), angle.sin())


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Each head's first half and second half, component by component, turned: <float>[B, H, L, D] to the same.

    Computed in float32 at least, as angles of long texts need it.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    first, second = x.to(wide).chunk(2, dim=-1)
    turned = torch.cat([first * by.cos - second * by.sin, second * by.cos + first * by.sin], dim=-1)
    return turned.to(x.dtype)
