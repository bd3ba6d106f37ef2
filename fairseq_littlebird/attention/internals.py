"""Attention internals: the queries, keys and slopes behind a layer's attention probabilities.

Legend: B batch, L tokens, S pack size, H heads, D head width.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class FullAttentionInternals(NamedTuple):
    """Of full and of sparse one-stream attention."""

    q: Tensor  # <float>[B, H, L, D]
    k: Tensor  # <float>[B, H, L, D]
    window: int = 0  # w / 2 tokens on each side that a query sees; 0 for all


class LittleBirdInternals(NamedTuple):
    """Of a LittleBird layer, pack and unpack. Without the pack stream S = 0, and ``pack_x_k`` is ``k``."""

    q: Tensor  # <float>[B, H, L, D], of X over [C_P ; X]
    k: Tensor  # <float>[B, H, L, D], of X
    pack_q: Tensor  # <float>[B, H, S, D], of P over X
    pack_x_k: Tensor  # <float>[B, H, L, D], of X for P
    pack_k: Tensor  # <float>[B, H, S, D], of C_P for X
    slopes: Tensor | None  # <float>[3, H]: α, β, γ; None without BiALiBi
