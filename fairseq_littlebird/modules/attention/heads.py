"""Hidden states to attention heads and back."""

from __future__ import annotations

from torch import Tensor


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, n, C] to [B, H, n, D]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[B, H, n, D] to [B, n, C]."""
    return x.transpose(1, 2).flatten(2)
