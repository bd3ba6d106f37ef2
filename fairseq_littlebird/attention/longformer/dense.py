"""Longformer's attention as two masked dense softmaxes: the oracle. Quadratic in L.

Legend: B batch, L tokens, G global tokens of the sequence with the most, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import masked_attention
from fairseq_littlebird.attention.common.patterns import sliding_window_pattern


def dense_longformer_attention(
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
    """σ(Q Kᵀ / √d) V over the window and the global tokens; σ(Q_g K_gᵀ / √d) V_g over all for a global token's
    own query.

    Args:
        q, k, v: <float>[B, H, L, D], L ≥ 1.
        global_q: <float>[B, H, G, D], of each sequence's global tokens in order; what is left of G stands for nothing.
        global_k, global_v: <float>[B, H, L, D], of all tokens; [B, H, 0, D] will do where G = 0.
        global_tokens: <bool>[B, L], at most G a sequence, or None for none.
        padding_mask: <bool>[B, L], True = padding, or None.
        window: w, even: w / 2 tokens on each side.
        dilations: of each head, H steps from one token of the window to the next.
        dropout_p: dropout of the attention probabilities.
    Returns:
        <float>[B, H, L, D]; a query that sees nothing is 0.
    """
    check_length(q.shape[2])
    (B, _, L, _), G, device = q.shape, global_q.shape[2], q.device
    nothing = torch.zeros(B, L, dtype=torch.bool, device=device)
    global_tokens = nothing if global_tokens is None else global_tokens
    unpadded = ~(nothing if padding_mask is None else padding_mask)[:, None, None]  # [B, 1, 1, L]
    near = torch.stack([sliding_window_pattern(L, window, dilation, device) for dilation in dilations])  # [H, L, L]

    result, _ = masked_attention(q, k, v, (near | global_tokens[:, None, None]) & unpadded, dropout_p)
    of_global, _ = masked_attention(global_q, global_k, global_v, unpadded[..., : global_k.shape[2]], dropout_p)
    there = torch.arange(G, device=device) < global_tokens.sum(dim=1, keepdim=True)  # [B, G]
    result.transpose(1, 2)[global_tokens] = of_global.transpose(1, 2)[there]
    return result
