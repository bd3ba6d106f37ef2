"""Causal window and global attention as one masked dense softmax: the oracle. Quadratic in L.

Legend: B batch, L tokens, H heads, D head width, b block size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_littlebird.slopes import CausalBiALiBi
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import masked_softmax
from fairseq_littlebird.attention.common.patterns import causal_block_window_pattern


def dense_causal_block_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    slopes: CausalBiALiBi,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float = 0.0,
) -> Tensor:
    """σ(Q Kᵀ / √D - D) V over the tokens so far of block 0, of the block to the left and of a token's own block.

    Args:
        q, k, v: <float>[B, H, L, D].
        slopes: the layer's.
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b.
        dropout_p: dropout of the attention probabilities.
    Returns:
        <float>[B, H, L, D]; 0 for a query with every key masked.
    """
    check_length(q.shape[2])
    L, device = q.shape[2], q.device
    wide = torch.promote_types(q.dtype, torch.float32)
    index = torch.arange(L, device=device)
    visible = causal_block_window_pattern(L, block_size, device)[None]
    if padding_mask is not None:
        visible = visible & ~padding_mask[:, None]
    with torch.autocast(device.type, enabled=False):
        scores = q.to(wide) @ k.to(wide).transpose(2, 3) * q.shape[3] ** -0.5 - slopes(index, index)
    probabilities = torch.dropout(masked_softmax(scores, visible[:, None]), dropout_p, True)
    return probabilities.to(q.dtype) @ v
