"""Longformer's attention in blocks: time and memory linear in L, for a given number of global tokens.

A block of queries reads [global tokens ; its window of keys]. A head of dilation d is d sequences without dilation:
token i belongs to sequence i mod d.

Legend: B batch, L tokens, G global tokens of the sequence with the most, H heads, D head width, d dilation, b block
size, n blocks, W keys of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.blocks import block_size, split_blocks, window_band, windows
from fairseq_littlebird.attention.common.dilation import join_residues, runs, split_residues
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import fused_masked_attention
from fairseq_littlebird.attention.longformer.global_tokens import global_index


def blockwise_longformer_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    global_q: Tensor,
    global_k: Tensor,
    global_v: Tensor,
    global_tokens: Tensor | None,
    padding_mask: Tensor | None,
    window: int,
    dilations: Sequence[int],
    dropout_p: float = 0.0,
) -> Tensor:
    """Arguments and result as :func:`dense_longformer_attention`'s, <float>[B, H, L, D]."""
    check_length(q.shape[2])
    (B, _, L, _), G = q.shape, global_q.shape[2]
    nothing = torch.zeros(B, L, dtype=torch.bool, device=q.device)
    global_tokens = nothing if global_tokens is None else global_tokens
    padding = nothing if padding_mask is None else padding_mask
    index = global_index(global_tokens, G)
    there = global_tokens.gather(1, index)  # [B, G]
    hidden = padding | global_tokens  # of the window's keys: a global one is not counted twice
    seen = there & ~padding.gather(1, index)

    parts = []
    for heads, dilation in runs(dilations):
        q_run, k_run, v_run = q[:, heads], k[:, heads], v[:, heads]
        everywhere = GlobalKeys(take(k_run, index), take(v_run, index), seen)
        parts.append(dilated(q_run, k_run, v_run, hidden, everywhere, window // 2, dilation, dropout_p))
    result = torch.cat(parts, dim=1)

    unpadded = ~padding[:, None, None, : global_k.shape[2]]
    own = fused_masked_attention(global_q, global_k, global_v, unpadded, dropout_p)
    results = torch.where(there[:, None, :, None], own, take(result, index))
    return result.scatter(2, expand(index, result), results)


class GlobalKeys(NamedTuple):
    """Keys that every query reads beside its window."""

    k: Tensor  # <float>[B, H, G, D]
    v: Tensor  # <float>[B, H, G, D]
    seen: Tensor  # <bool>[B, G]

    def repeat(self, times: int) -> GlobalKeys:
        """Each sequence so many times in succession."""
        return GlobalKeys(*(x.repeat_interleave(times, dim=0) for x in self))


def dilated(
    q: Tensor, k: Tensor, v: Tensor, hidden: Tensor, everywhere: GlobalKeys, radius: int, d: int, dropout_p: float
) -> Tensor:
    """Attention of heads of one dilation: q, k, v, result <float>[B, H, L, D], hidden <bool>[B, L]."""
    L = q.shape[2]
    q, k, v = (split_residues(x.transpose(1, 2), d) for x in (q, k, v))  # [B·d, ⌈L/d⌉, H, D]
    result = windowed(q, k, v, split_residues(hidden, d, True), everywhere.repeat(d), radius, dropout_p)
    return join_residues(result, d, L).transpose(1, 2)


def windowed(
    q: Tensor, k: Tensor, v: Tensor, hidden: Tensor, everywhere: GlobalKeys, radius: int, dropout_p: float
) -> Tensor:
    """Attention over [global tokens ; window]: q, k, v, result <float>[B, L, H, D], hidden <bool>[B, L]."""
    B, L = hidden.shape
    radius = min(radius, L - 1)
    b = block_size(L, radius)
    n = -(-L // b)
    # [B·n, H, W, D]
    near_k, near_v = (windows(x, b, radius, radius, dim=1).flatten(0, 1).transpose(1, 2) for x in (k, v))
    near = window_band(b, radius, radius, q.device)
    near = near & ~windows(hidden, b, radius, radius, dim=1, fill=True).flatten(0, 1)[:, None]  # [B·n, b, W]
    far_k, far_v, far = everywhere.repeat(n)
    result = fused_masked_attention(
        split_blocks(q, b, dim=1).flatten(0, 1).transpose(1, 2),
        torch.cat([far_k, near_k], dim=2),
        torch.cat([far_v, near_v], dim=2),
        torch.cat([far[:, None].expand(-1, b, -1), near], dim=2)[:, None],
        dropout_p,
    )
    return result.transpose(1, 2).unflatten(0, (B, n)).flatten(1, 2)[:, :L]


def take(x: Tensor, index: Tensor) -> Tensor:
    """Tokens of x <float>[B, H, L, D] at <int64>[B, G]: <float>[B, H, G, D]."""
    return x.gather(2, expand(index, x))


def expand(index: Tensor, x: Tensor) -> Tensor:
    """<int64>[B, G] for all heads and widths of x: <int64>[B, H, G, D]."""
    return index[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3])
