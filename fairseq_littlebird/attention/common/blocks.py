"""A sequence in blocks, and the keys around each block of queries: what is computed over them is linear in L.

A block of queries reads either whole neighbouring blocks, or one window of W = left + b + right keys, from ``left``
before it to ``right`` behind it. Either side may be 0: a causal window has nothing on the right. What lies past the
ends is filled in and has to be masked.

Legend: L tokens, b block size, n = ⌈L / b⌉ blocks, W keys of a window.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_BLOCK_SIZE, MAX_BLOCK_SIZE = 32, 256  # few enough blocks for small radii, few keys out of reach for large ones


def block_size(length: int, radius: int) -> int:
    """b for windows of a radius: as large as the radius, within reason."""
    return min(length, max(MIN_BLOCK_SIZE, min(radius, MAX_BLOCK_SIZE)))


def split_blocks(x: Tensor, block_size: int, dim: int = -2, fill: float = 0.0) -> Tensor:
    """[…, L, …] to […, n, b, …], ``fill`` past the end; L is dimension ``dim``."""
    dim %= x.dim()
    return extend(x, 0, -x.shape[dim] % block_size, dim, fill).unflatten(dim, (-1, block_size))


def neighbours(blocks: Tensor, left: int = 1, right: int = 1, dim: int = -3, fill: float = 0.0) -> list[Tensor]:
    """Of each block the so many blocks to its left, itself, and the so many to its right, one tensor each.

    Args:
        blocks: […, n, b, …], n being dimension ``dim``.
        left, right: how many.
        dim: see above.
        fill: of blocks past the ends.
    Returns:
        left + 1 + right views of one padded copy, each in the shape of ``blocks``.
    """
    n, padded = blocks.shape[dim], extend(blocks, left, right, dim, fill)
    return [padded.narrow(dim, shift, n) for shift in range(left + 1 + right)]


def windows(x: Tensor, block_size: int, left: int, right: int, dim: int = -2, fill: float = 0.0) -> Tensor:
    """[…, L, …] to […, n, W, …], ``fill`` past the ends: a view of one padded copy; L is dimension ``dim``."""
    dim %= x.dim()
    padded = extend(x, left, right + (-x.shape[dim] % block_size), dim, fill)
    return padded.unfold(dim, left + block_size + right, block_size).movedim(-1, dim + 1)


def window_band(block_size: int, left: int, right: int, device: torch.device | None = None) -> Tensor:
    """Which query of a block sees which key of its window: those at most ``left`` before it and ``right`` behind it.

    Returns <bool>[b, W], the same for every block.
    """
    offset = torch.arange(left + block_size + right, device=device) - torch.arange(block_size, device=device)[:, None]
    return (offset >= 0) & (offset <= left + right)


def extend(x: Tensor, before: int, behind: int, dim: int, fill: float = 0.0) -> Tensor:
    """[…, L, …] to […, before + L + behind, …], L being dimension ``dim``."""
    following = x.dim() - 1 - dim % x.dim()
    return F.pad(x, (0, 0) * following + (before, behind), value=fill)
