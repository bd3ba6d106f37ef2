"""Attention over the keys that a query sees: the softmax, plain and fused, and its one constant.

Legend: B batch, L tokens, K keys, H heads, D head width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MASKED = -1e30
"""The score of a key that a query does not see; finite, so that a query that sees no key gives no NaN."""


def masked_softmax(scores: Tensor, visible: Tensor) -> Tensor:
    """σ over the visible keys.

    Args:
        scores: <float32 or wider>[..., K].
        visible: <bool>, broadcasts to the scores.
    Returns:
        <float32 or wider>[..., K], 0 where a query sees nothing.
    """
    blind = ~visible.any(dim=-1, keepdim=True)
    return scores.masked_fill(~visible, MASKED).softmax(dim=-1).masked_fill(blind, 0.0)


def masked_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    visible: Tensor,
    dropout_p: float = 0.0,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """σ(Q Kᵀ / √d + bias) V over the visible keys, in time and memory of L × K: the reference of every sparse kind.

    Args:
        q: <float>[B, H, L, D].
        k, v: <float>[B, H, K, D].
        visible: <bool>, broadcasts to [B, H, L, K].
        dropout_p: dropout of the attention probabilities.
        bias: <float>, broadcasts to [B, H, L, K]; added to the scaled scores; or None.
    Returns:
        result <float>[B, H, L, D] and probabilities before dropout <float32 or wider>[B, H, L, K]; both are 0 where a
        query sees nothing.
    """
    wide = torch.promote_types(q.dtype, torch.float32)
    with torch.autocast(q.device.type, enabled=False):
        scores = q.to(wide) @ k.to(wide).transpose(2, 3) * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias.to(wide)
    probabilities = masked_softmax(scores, visible)
    return F.dropout(probabilities, dropout_p).to(q.dtype) @ v, probabilities


def fused_masked_attention(q: Tensor, k: Tensor, v: Tensor, visible: Tensor, dropout_p: float = 0.0) -> Tensor:
    """:func:`masked_attention`'s result by torch's fused kernels, without a bias and without the probabilities."""
    blind = ~visible.any(dim=-1, keepdim=True)  # would be 0/0
    return F.scaled_dot_product_attention(q, k, v, visible | blind, dropout_p).masked_fill(blind, 0.0)
