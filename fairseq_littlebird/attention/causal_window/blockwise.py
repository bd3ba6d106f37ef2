"""Causal window attention, one group of blocks after another: time and memory linear in L, and no copy of the keys.

A block of b queries reads the w keys before it and its own; see :func:`window_block_attention`, and
:func:`fused_window_attention` for what torch has a kernel for. Heads of one window and
one dilation go together; those of dilation d as d sequences without dilation.

Legend: B batch, Q queries, K ≥ Q tokens with keys, H heads, D head width, w window in reach, d dilation, b block size,
W = w + b keys of a block, R distances.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_window.arguments import check_arguments
from fairseq_littlebird.attention.causal_window.distances import shifted
from fairseq_littlebird.attention.causal_window.fused import fused_window_attention, is_fused
from fairseq_littlebird.attention.common.blocks import extend, window_band
from fairseq_littlebird.attention.common.dilation import join_residues, runs, split_residues
from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.common.window_blocks import WindowBlocks, window_block_attention

MIN_BLOCK_SIZE, MAX_BLOCK_SIZE = 32, 64  # of w + b keys a query sees w + 1
MAX_HALF_BLOCK_SIZE = 128  # of half types, whose keys are copied for every block


def blockwise_causal_window_attention(
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
    (B, _, Q, _), K = q.shape, k.shape[2]
    w = min(window, (K - 1) // d)
    before = -(K - Q) % d  # the first query belongs to the first residue
    hidden = padding_mask
    if before:
        nothing = torch.zeros(B, K, dtype=torch.bool, device=q.device)
        hidden = extend(nothing if hidden is None else hidden, before, 0, dim=1, fill=True)
        k, v = extend(k, before, 0, dim=2), extend(v, before, 0, dim=2)
    shared = bias is not None and bias.shape[:3:2] == (1, 1)  # the same for every query
    of_distances = None if bias is None or shared else _residues(bias[..., : w + 1], d)
    q, k, v = (_residues(x, d) for x in (q, k, v))  # [B·d, H, ⌈Q/d⌉, D] and [B·d, H, ⌈K/d⌉, D]
    hidden = None if hidden is None else split_residues(hidden, d)
    fused = hidden is None and of_distances is None and is_fused(q, bias, dropout_p)
    b = query_block_size(w, q.shape[2], half=q.dtype.itemsize < 4)
    of_keys = block_bias(bias if shared else None, b, w, q)
    if fused:
        result = fused_window_attention(q, k.to(q.dtype), v.to(q.dtype), of_keys)
    else:
        result = window_block_attention(WindowBlocks(q, k, v, of_keys, of_distances, hidden=hidden), dropout_p)
    return join_residues(result.transpose(1, 2), d, Q).transpose(1, 2)


def query_block_size(window: int, length: int, half: bool = False) -> int:
    """b of a window w and a sequence of so many queries, of a half type or a wider one."""
    most = MAX_HALF_BLOCK_SIZE if half else MAX_BLOCK_SIZE
    return min(length, max(MIN_BLOCK_SIZE, min(window // 2, most)))


def block_bias(bias: Tensor | None, b: int, w: int, like: Tensor) -> Tensor:
    """What is added to every block's scores, <float32 or wider>[H or 1, b, W]; MASKED outside of the window.

    Args:
        bias: <float>[1, H, 1, R] of distances, or None.
        b, w: block size and window.
        like: says the device, and how wide.
    """
    if bias is None:
        added = torch.zeros(1, b, w + b, dtype=torch.promote_types(like.dtype, torch.float32), device=like.device)
    else:
        added = shifted(bias[0, :, :, : w + 1].expand(-1, b, -1))
        added = added.to(torch.promote_types(like.dtype, torch.float32))
    return added.masked_fill(~window_band(b, w, 0, like.device), MASKED)


def _residues(x: Tensor, d: int) -> Tensor:
    """[B, H, L, …] to [B·d, H, ⌈L/d⌉, …]."""
    return x if d == 1 else split_residues(x.transpose(1, 2), d).transpose(1, 2)
