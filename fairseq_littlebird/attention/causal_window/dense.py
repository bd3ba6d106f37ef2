"""Causal window attention as one masked dense softmax: the oracle. Quadratic in L.

Legend: B batch, Q queries, K ≥ Q tokens with keys, H heads, D head width, w window, d dilation, R > w distances.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_window.arguments import check_arguments
from fairseq_littlebird.attention.common.masked_softmax import masked_attention
from fairseq_littlebird.attention.common.patterns import causal_window_pattern


def dense_causal_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    padding_mask: Tensor | None,
    windows: Sequence[int],
    dilations: Sequence[int],
    bias: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """σ(Q Kᵀ / √D + bias) V, token i over the tokens i, i - d, …, i - w·d (Longformer, sections 3.1 and 4).

    Args:
        q: <float>[B, H, Q, D], Q ≥ 1, of the last Q of the tokens.
        k, v: <float>[B, H, K, D], of all tokens; K > Q where those before the queries are known from earlier.
        padding_mask: <bool>[B, K], True = padding, or None.
        windows: w of each head, H of at least 0.
        dilations: d of each head, H of at least 1.
        bias: <float>[1, H, 1, R] or [B, H, Q, R], R > every w, added to the scaled scores; entry r is for the key
            r·d tokens back; see :func:`alibi_bias`. None for none.
        dropout_p: dropout of the attention probabilities.
    Returns:
        <float>[B, H, Q, D]; a query that sees nothing is 0.
    Raises:
        ValueError: arguments that do not fit together; no token at all.
    """
    check_arguments(q, k, windows, dilations, bias)
    Q, K, device = q.shape[2], k.shape[2], q.device
    heads = tuple(zip(windows, dilations, strict=True))
    visible = torch.stack([causal_window_pattern(Q, K, w, d, device) for w, d in heads])[None]  # [1, H, Q, K]
    if padding_mask is not None:
        visible = visible & ~padding_mask[:, None, None]
    if bias is not None:
        distance = torch.arange(K - Q, K, device=device)[:, None] - torch.arange(K, device=device)
        steps = distance // torch.tensor(dilations, device=device)[:, None, None]  # [H, Q, K]
        steps = steps.clamp(0, bias.shape[3] - 1).expand(len(bias), -1, -1, -1)
        bias = bias.expand(-1, -1, Q, -1).gather(3, steps)
    return masked_attention(q, k, v, visible, dropout_p, bias)[0]
