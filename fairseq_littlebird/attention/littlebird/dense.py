"""USWAttn as one masked dense softmax: the oracle. Quadratic in L; reads like the equation of section 3.3.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

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
        a row with every key masked is 0 in both.
    """
    B, H, L, D = q.shape
    S = pack_k.shape[2]
    wide = torch.promote_types(q.dtype, torch.float32)
    keys, values = torch.cat([pack_k, k], dim=2), torch.cat([pack_v, v], dim=2)
    with torch.autocast(q.device.type, enabled=False):
        scores = q.to(wide) @ keys.to(wide).transpose(2, 3) * D**-0.5  # [B, H, L, S + L]

    if slopes is not None:
        if positions is None:
            positions = torch.arange(L, device=q.device).expand(B, L)
        pack_distance = slopes.pack_distance(block_size).view(1, H, 1, 1).expand(B, H, L, S)
        scores = scores - torch.cat([pack_distance, slopes(positions)], dim=3).to(wide)

    visible = window_mask(L, block_size, device=q.device).expand(B, L, L)
    if padding_mask is not None:
        visible = visible & ~padding_mask[:, None, :]
    visible = F.pad(visible, (S, 0), value=True)[:, None]  # every token sees every packed key
    scores = scores.masked_fill(~visible, float("-inf"))
    blind = ~visible.any(dim=-1, keepdim=True)
    probabilities = scores.masked_fill(blind, 0.0).softmax(dim=-1).masked_fill(blind, 0.0)
    return F.dropout(probabilities, dropout_p).to(q.dtype) @ values, probabilities


def window_mask(length: int, block_size: int, device: torch.device | None = None, rows: slice = slice(None)) -> Tensor:
    """Which token sees which: the global block 0, and the own, the left and the right block.

    Returns <bool>[L, L], True = visible; rows are queries, those of a slice if one is given.
    """
    block = torch.arange(length, device=device) // block_size
    return (block[None, :] == 0) | ((block[rows, None] - block[None, :]).abs() <= 1)
