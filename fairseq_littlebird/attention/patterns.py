"""Who sees whom, as boolean masks, and attention over such a mask: the plain reference of every sparse kind.

Legend: B batch, L tokens, K keys, H heads, D head width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    visible: Tensor,
    dropout_p: float = 0.0,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """σ(Q Kᵀ / √d + bias) V over the visible keys, in time and memory of L × K.

    Args:
        q: <float>[B, H, L, D].
        k, v: <float>[B, H, K, D].
        visible: <bool>, broadcasts to [B, H, L, K].
        dropout_p: dropout of the attention probabilities.
        bias: <float>, broadcasts to [B, H, L, K]; added to the scaled scores; or None.
    Returns:
        result <float>[B, H, L, D] and probabilities before dropout <float32 or wider>[B, H, L, K]; a row that sees
        nothing is 0 in both.
    """
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = (q @ k.transpose(2, 3)).to(wide) * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias.to(wide)
    blind = ~visible.any(dim=-1, keepdim=True)
    scores = scores.masked_fill(~visible, float("-inf")).masked_fill(blind, 0.0)
    probabilities = scores.softmax(dim=-1).masked_fill(blind, 0.0)
    return F.dropout(probabilities, dropout_p).to(q.dtype) @ v, probabilities


def band_pattern(length: int, radius: int, device: torch.device | None = None) -> Tensor:
    """ETC's long tokens among themselves: those at a distance of at most ``radius``, <bool>[L, L]."""
    index = torch.arange(length, device=device)
    return (index[None, :] - index[:, None]).abs() <= radius


def sliding_window_pattern(length: int, window: int, dilation: int = 1, device: torch.device | None = None) -> Tensor:
    """The dilated sliding window (Longformer, section 3.1): window / 2 tokens on each side, in steps of the dilation.

    Returns <bool>[L, L], True = visible; rows are queries, each sees itself.
    """
    index = torch.arange(length, device=device)
    distance = (index[:, None] - index).abs()
    return (distance <= window // 2 * dilation) & (distance % dilation == 0)
