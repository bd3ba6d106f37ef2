"""Where the attention of some tokens goes: directly to tokens, and through the packed rows to others.

Means over the heads and over the queries asked for, so that what a LittleBird layer does with a question's answer is
    t = mean A_window <float>[L],   u = mean A_unpack <float>[S],   R = mean diag(A_unpack) · A_pack <float>[S, L]
with Σ t + Σ u = 1, and R's rows summing to u.

Legend: B batch, L tokens, S pack size, H heads, r queries.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.attention.effective_attention import full_rows, packed_rows, unpack_rows
from fairseq_littlebird.attention.internals import FullRouting, LittleBirdRouting

ROWS = 32  # queries at once


class Shares(NamedTuple):
    """Of a layer."""

    tokens: Tensor  # <float32 or wider>[B, L], t
    packed: Tensor  # <float32 or wider>[B, S], u
    reached: Tensor  # <float32 or wider>[B, S, L], R


def littlebird_shares(
    routing: LittleBirdRouting,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    window: bool,
    first: int,
    stop: int,
) -> Shares:
    """Of the queries first … stop - 1 of a LittleBird layer; the other arguments as ``composed_rows`` has them."""
    a_pack = packed_rows(routing, padding_mask)  # [B, H, S, L]
    tokens, unpack = a_pack.new_zeros(a_pack.shape[0], a_pack.shape[3]), a_pack.new_zeros(a_pack.shape[:3])
    for start in range(first, stop, ROWS):
        rows = slice(start, min(start + ROWS, stop))
        a_unpack, a_window = unpack_rows(routing, positions, padding_mask, block_size, window, rows)
        unpack += a_unpack.sum(dim=2)
        if a_window is not None:
            tokens += a_window.mean(dim=1).sum(dim=1)
    r, H = stop - first, a_pack.shape[1]
    reached = torch.einsum("bhs,bhsl->bsl", unpack / (r * H), a_pack)
    return Shares(tokens / r, unpack.mean(dim=1) / r, reached)


def full_shares(routing: FullRouting, padding_mask: Tensor | None, first: int, stop: int) -> Shares:
    """The same of a full-attention layer, S = 0."""
    B, _, L, _ = routing.k.shape
    tokens = torch.zeros(B, L, dtype=torch.promote_types(routing.k.dtype, torch.float32), device=routing.k.device)
    for start in range(first, stop, ROWS):
        rows = slice(start, min(start + ROWS, stop))
        tokens += full_rows(routing, padding_mask, rows).mean(dim=1).sum(dim=1)
    return Shares(tokens / (stop - first), tokens.new_zeros(B, 0), tokens.new_zeros(B, 0, L))
