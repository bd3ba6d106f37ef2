"""USWAttn as one masked dense softmax: the oracle. Quadratic in L; reads like the equation of section 3.3.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import masked_attention
from fairseq_littlebird.attention.common.patterns import block_window_pattern
from fairseq_littlebird.attention.littlebird.bialibi import BiALiBi


def dense_unpack_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor,
    pack_v: Tensor,
    slopes: BiALiBi | None,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """σ(Q(X) [K(C_P); K(X)]ᵀ / √d - [D_P; D]) [V(C_P); V(X)], block-sparse by a mask.

    Args:
        q, k, v: <float>[B, H, L, D].
        pack_k, pack_v: <float>[B, H, S, D], S ≥ 0.
        slopes: the layer's BiALiBi; None leaves out the bias (an ablation).
        positions: <integer>[B, L], non-decreasing, or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b.
        dropout_p: dropout of the attention probabilities.
    Returns:
        result <float>[B, H, L, D] and probabilities before dropout <float32 or wider>[B, H, L, S + L];
        0 in both for a query with every key masked.
    """
    check_length(q.shape[2])
    (B, H, L, _), S = q.shape, pack_k.shape[2]
    bias = None
    if slopes is not None:
        if positions is None:
            positions = torch.arange(L, device=q.device).expand(B, L)
        pack_distance = slopes.pack_distance(block_size).view(1, H, 1, 1).expand(B, H, L, S)
        bias = -torch.cat([pack_distance, slopes(positions)], dim=3)

    visible = block_window_pattern(L, block_size, device=q.device).expand(B, L, L)
    if padding_mask is not None:
        visible = visible & ~padding_mask[:, None, :]
    visible = F.pad(visible, (S, 0), value=True)[:, None]  # every token sees every pack vector
    keys, values = torch.cat([pack_k, k], dim=2), torch.cat([pack_v, v], dim=2)
    return masked_attention(q, keys, values, visible, dropout_p, bias)
