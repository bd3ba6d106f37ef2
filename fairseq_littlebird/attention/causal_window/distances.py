"""Biases of distances as biases of keys.

Legend: N sequences, H heads, D head width, b queries of a block, W its keys, R distances.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.masked_softmax import MASKED, fused_masked_attention, masked_attention


def attend(q: Tensor, k: Tensor, v: Tensor, visible: Tensor, bias: Tensor | None, dropout_p: float = 0.0) -> Tensor:
    """:func:`masked_attention`'s result, by torch's fused kernels where these have no gradient to give to the bias.

    Args:
        q: <float>[N, H, b, D].
        k, v: <float>[N, H, W, D].
        visible: <bool>, broadcasts to [N, H, b, W].
        bias: <float>[1 or N, H, b, W], or None.
        dropout_p: dropout of the attention probabilities.
    Returns:
        <float>[N, H, b, D].
    """
    if bias is None:
        return fused_masked_attention(q, k, v, visible, dropout_p)
    if bias.requires_grad or bias.dtype != q.dtype:
        return masked_attention(q, k, v, visible, dropout_p, bias)[0]
    result = F.scaled_dot_product_attention(q, k, v, bias.masked_fill(~visible, MASKED), dropout_p)
    return result.masked_fill(~visible.any(dim=-1, keepdim=True), 0.0)


def shifted(bias: Tensor) -> Tensor:
    """[…, b, R] of distances to […, b, W] of keys: query t has the key r before it in column t + w - r."""
    *leading, b, R = bias.shape
    rows = F.pad(bias.flip(-1), (0, b)).flatten(-2)  # row t starts at t · (W + 1)
    return rows[..., : b * (R - 1 + b)].view(*leading, b, R - 1 + b)
