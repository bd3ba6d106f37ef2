"""Causal unpack and window attention as one masked dense softmax: the oracle. Quadratic in L.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, n = ⌈L / b⌉ blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_littlebird.slopes import CausalBiALiBi
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import masked_softmax
from fairseq_littlebird.attention.common.patterns import causal_block_window_pattern


def dense_causal_unpack_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor | None,
    pack_v: Tensor | None,
    slopes: CausalBiALiBi,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float = 0.0,
) -> Tensor:
    """σ(Q(X) [K(C_P); K(X)]ᵀ / √D - [D_P; D]) [V(C_P); V(X)] over the tokens so far, C_P being of the blocks before.

    Args:
        q, k, v: <float>[B, H, L, D].
        pack_k, pack_v: <float>[B, H, n, S, D], what the queries of each block read of C_P; those of block 0 read none.
            None for no pack.
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
    visible = visible[:, None]  # [B or 1, 1, L, L]
    with torch.autocast(device.type, enabled=False):
        scores = q.to(wide) @ k.to(wide).transpose(2, 3) * q.shape[3] ** -0.5 - slopes(index, index)
    if pack_k is None or pack_v is None:
        probabilities = torch.dropout(masked_softmax(scores, visible), dropout_p, True)
        return probabilities.to(q.dtype) @ v
    block = index // block_size
    of_pack = torch.einsum("bhld,bhlsd->bhls", q.to(wide), pack_k.to(wide)[:, :, block]) * q.shape[3] ** -0.5
    of_pack = of_pack - slopes.pack_distance(block_size)[:, None, None]
    packed = (block > 0)[None, :, None]
    if padding_mask is not None:
        packed = packed & has_tokens_before(padding_mask, block_size)[:, block, None]
    packed = packed[:, None].expand(len(visible), 1, L, of_pack.shape[3])
    scores, visible = torch.cat([of_pack, scores], dim=3), torch.cat([packed, visible], dim=3)
    probabilities = torch.dropout(masked_softmax(scores, visible), dropout_p, True).to(q.dtype)
    of_pack, of_tokens = probabilities.split([of_pack.shape[3], L], dim=3)
    return torch.einsum("bhls,bhlsd->bhld", of_pack, pack_v[:, :, block].to(q.dtype)) + of_tokens @ v


def has_tokens_before(padding_mask: Tensor, block_size: int) -> Tensor:
    """Whether any token of the blocks before each block is not padding.

    Args:
        padding_mask: <bool>[B, L].
        block_size: b.
    Returns:
        <bool>[B, n].
    """
    tokens = (~padding_mask).long().cumsum(dim=1)[:, block_size - 1 :: block_size] > 0
    starts = tokens.new_zeros(len(tokens), 1)
    return torch.cat([starts, tokens], dim=1)[:, : -(-padding_mask.shape[1] // block_size)]
