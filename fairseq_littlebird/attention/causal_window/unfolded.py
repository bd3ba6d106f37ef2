"""Causal window attention in blocks by torch's fused kernels: the keys of every block are unfolded into one tensor.

A block of b queries reads the w keys before it and its own. Heads of one window and one dilation go together; those of
dilation d as d sequences without dilation.

Legend: B batch, Q queries, K ≥ Q tokens with keys, H heads, D head width, w window in reach, d dilation, R = w + 1
distances; after the residues are split B·d sequences of n blocks of b queries, each of W = w + b keys.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_window.arguments import check_arguments
from fairseq_littlebird.attention.causal_window.distances import attend, shifted
from fairseq_littlebird.attention.common.blocks import block_size, extend, split_blocks, window_band
from fairseq_littlebird.attention.common.dilation import join_residues, runs, split_residues


def unfolded_causal_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    padding_mask: Tensor | None,
    windows: Sequence[int],
    dilations: Sequence[int],
    bias: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Arguments and result as :func:`dense_causal_window_attention`'s, <float>[B, H, Q, D].

    Padding on the right needs no mask: only padded queries see it.
    """
    check_arguments(q, k, windows, dilations, bias)
    parts = []
    for heads, (window, dilation) in runs(tuple(zip(windows, dilations, strict=True))):
        of_heads = None if bias is None else bias[:, heads]
        run = q[:, heads], k[:, heads], v[:, heads], padding_mask, of_heads
        parts.append(_one_window(*run, window, dilation, dropout_p))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _one_window(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    padding_mask: Tensor | None,
    bias: Tensor | None,
    window: int,
    d: int,
    dropout_p: float,
) -> Tensor:
    """Attention of heads of one window and one dilation."""
    (_, _, Q, _), K = q.shape, k.shape[2]
    w = min(window, (K - 1) // d)
    absent = w * d - (K - Q)  # keys before the first token that the window of the first query would have
    nothing = torch.zeros(1, K, dtype=torch.bool, device=q.device)
    hidden = extend(nothing if padding_mask is None else padding_mask, absent, 0, dim=1, fill=True)
    q, k, v = (
        split_residues(x.transpose(1, 2), d) for x in (q, extend(k, absent, 0, dim=2), extend(v, absent, 0, dim=2))
    )  # [B·d, ⌈Q/d⌉, H, D] and [B·d, w + ⌈Q/d⌉, H, D]
    hidden = split_residues(hidden, d, fill=True)
    b = block_size(q.shape[1], w)
    blocks = split_blocks(q, b, dim=1).transpose(2, 3)  # [B·d, n, H, b, D]
    n = blocks.shape[1]
    keys, values = (_windows(x, n, b, w).transpose(2, 3) for x in (k, v))  # [B·d, n, H, W, D]
    unseen = _windows(hidden, n, b, w, True)[:, :, None, None]  # [B·d or d, n, 1, 1, W]
    shared = bias is not None and bias.shape[:3:2] == (1, 1)  # the same for every block
    if bias is not None:
        bias = bias[..., : w + 1]
        bias = shifted(bias.expand(-1, -1, b, -1)) if shared else _of_blocks(bias, d, b)

    masked = n if padding_mask is not None else min(n, -(-max(absent, 0) // (d * b)))  # blocks that need a mask
    band, parts = window_band(b, w, 0, q.device), []
    for some in (slice(0, masked), slice(masked, n)):
        if some.start == some.stop:
            continue
        visible = band
        if some.start < masked:
            visible = (band & ~unseen[:, some]).repeat(len(blocks) // len(unseen), 1, 1, 1, 1).flatten(0, 1)
        of_blocks = bias if bias is None or shared else bias[:, some].flatten(0, 1)
        query, key, value = (x[:, some].flatten(0, 1) for x in (blocks, keys, values))
        parts.append(attend(query, key, value, visible, of_blocks, dropout_p).unflatten(0, (len(blocks), -1)))
    result = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)  # [B·d, n, H, b, D]
    return join_residues(result.transpose(2, 3).flatten(1, 2), d, Q).transpose(1, 2)


def _windows(x: Tensor, n: int, b: int, w: int, fill: float = 0.0) -> Tensor:
    """The keys of n blocks, [B, n, W, …] of [B, w + L, …]: a view of one padded copy."""
    return extend(x, 0, n * b + w - x.shape[1], dim=1, fill=fill).unfold(1, w + b, b).movedim(-1, 2)


def _of_blocks(bias: Tensor, d: int, b: int) -> Tensor:
    """The bias of each key of each block, [B·d, n, H, b, W] of [B, H, Q, R]."""
    blocks = split_blocks(split_residues(bias.transpose(1, 2), d), b, dim=1)  # [B·d, n, b, H, R]
    return shifted(blocks.transpose(2, 3))
