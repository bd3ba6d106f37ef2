"""Causal window and global attention, block by block: time and memory linear in L.

The first two blocks see all that is before them; from the third on a block sees [block 0; left block; own block].

Legend: B batch, L tokens, H heads, D head width, b block size, n = ⌈L / b⌉ blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_littlebird.slopes import CausalBiALiBi
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.common.window_blocks import WindowBlocks, window_block_attention


def causal_block_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    slopes: CausalBiALiBi,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float = 0.0,
) -> Tensor:
    """Arguments and result as :func:`dense_causal_block_window_attention`'s, <float>[B, H, L, D].

    Padding on the right needs no mask: only padded queries see it.
    """
    check_length(q.shape[2])
    inputs = q, k, v, slopes, padding_mask, block_size
    result = window_block_attention(_first_blocks(*inputs), dropout_p)
    if q.shape[2] <= 2 * block_size:
        return result
    return torch.cat([result, window_block_attention(_other_blocks(*inputs), dropout_p)], dim=2)


def _first_blocks(
    q: Tensor, k: Tensor, v: Tensor, slopes: CausalBiALiBi, padding_mask: Tensor | None, b: int
) -> WindowBlocks:
    """The first two as one."""
    n = min(q.shape[2], 2 * b)
    index = torch.arange(n, device=q.device)
    bias = (-slopes(index, index)).masked_fill(index > index[:, None], MASKED)
    hidden = None if padding_mask is None else padding_mask[:, :n]
    return WindowBlocks(q[:, :, :n], k[:, :, :n], v[:, :, :n], bias, hidden=hidden)


def _other_blocks(
    q: Tensor, k: Tensor, v: Tensor, slopes: CausalBiALiBi, padding_mask: Tensor | None, b: int
) -> WindowBlocks:
    """Those from the third on."""
    tokens, block_0 = (q[:, :, 2 * b :], k[:, :, b:], v[:, :, b:]), (k[:, :, :b], v[:, :, :b])
    given = later_blocks(*tokens, *block_0, slopes, 2, b)
    if padding_mask is None:
        return given
    return given._replace(hidden=padding_mask[:, b:], global_hidden=padding_mask[:, :b])


def later_blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    global_k: Tensor,
    global_v: Tensor,
    slopes: CausalBiALiBi,
    first: int,
    block_size: int,
) -> WindowBlocks:
    """Blocks from ``first`` ≥ 2 on, whose global keys are those of block 0.

    Args:
        q: <float>[B, H, L, D], from the first token of that block on.
        k, v: <float>[B, H, b + L, D], with the block before it.
        global_k, global_v: <float>[B, H, b, D], of block 0.
        slopes: the layer's.
        first: number of the block.
        block_size: b.
    """
    b = block_size
    index = torch.arange(3 * b, device=q.device)
    queries = index[2 * b :]
    bias = (-slopes(queries, index)).masked_fill(index > queries[:, None], MASKED)  # [H, b, 3b], of block 2
    beta = slopes.coefficients()[1]
    growth = (-beta[:, None] * b).expand(-1, b).masked_fill(index[:b] == 0, 0.0)  # α stays as it is
    bias = torch.cat([bias[:, :, :b] + growth[:, None] * (first - 2), bias[:, :, b:]], dim=2)
    return WindowBlocks(q, k, v, bias, global_k=global_k, global_v=global_v, growth=growth)
