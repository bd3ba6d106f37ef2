"""The keys within a radius of each query, block by block: what is computed over them is linear in L.

A block of b queries reads one window of W = b + 2r keys, from r before it to r behind it. Query a of a block sees the
keys a … a + 2r of its window, whichever block it is; what lies past the ends is filled in and has to be hidden.

Legend: B batch, L tokens, r radius, b block size, n = ⌈L / b⌉ blocks, W keys of a window.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST, LARGEST = 32, 256  # blocks: few enough of them for small radii, few keys out of reach for large ones


def block_size(length: int, radius: int) -> int:
    """b: as large as the radius, within reason."""
    return min(length, max(SMALLEST, min(radius, LARGEST)))


def blocks(x: Tensor, b: int) -> Tensor:
    """[B, L, …] to [B, n, b, …], 0 past the end."""
    return extend(x, 0, -x.shape[1] % b).unflatten(1, (-1, b))


def windows(x: Tensor, b: int, radius: int, fill: float = 0.0) -> Tensor:
    """[B, L, …] to [B, n, W, …], ``fill`` past the ends: a view of one padded copy."""
    padded = extend(x, radius, radius + (-x.shape[1] % b), fill)
    return padded.unfold(1, b + 2 * radius, b).movedim(-1, 2)


def band(b: int, radius: int, device: torch.device | None = None) -> Tensor:
    """Which query of a block is within the radius of which key of its window: <bool>[b, W]."""
    offset = torch.arange(b + 2 * radius, device=device) - torch.arange(b, device=device)[:, None]
    return (offset >= 0) & (offset <= 2 * radius)


def extend(x: Tensor, before: int, behind: int, fill: float = 0.0) -> Tensor:
    """[B, L, …] to [B, before + L + behind, …]."""
    return F.pad(x, (0, 0) * (x.dim() - 2) + (before, behind), value=fill)
