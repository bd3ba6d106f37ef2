"""Who sees whom, as boolean masks, and attention over such a mask: the plain reference of every sparse kind.

Legend: B batch, L tokens, K keys, H heads, D head width, b block size, n blocks, R random blocks.
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
    with torch.autocast(q.device.type, enabled=False):
        scores = q.to(wide) @ k.to(wide).transpose(2, 3) * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias.to(wide)
    blind = ~visible.any(dim=-1, keepdim=True)
    scores = scores.masked_fill(~visible, float("-inf")).masked_fill(blind, 0.0)
    probabilities = scores.softmax(dim=-1).masked_fill(blind, 0.0)
    return F.dropout(probabilities, dropout_p).to(q.dtype) @ v, probabilities


def sliding_window_pattern(length: int, window: int, dilation: int = 1, device: torch.device | None = None) -> Tensor:
    """The dilated sliding window (Longformer, section 3.1): window / 2 tokens on each side, in steps of the dilation.

    Returns <bool>[L, L], True = visible; rows are queries, each sees itself.
    """
    index = torch.arange(length, device=device)
    distance = (index[:, None] - index).abs()
    return (distance <= window // 2 * dilation) & (distance % dilation == 0)


def bigbird_pattern(length: int, block_size: int, random_blocks: Tensor, last: Tensor) -> Tensor:
    """How often each token sees each other in BigBird-ITC (Zaheer et al., 2020, appendix D).

    Rows of the first and of the last block see everything once. Others see these two blocks, their own, its left and
    its right one, all of them once, and then the random blocks as often as they stand in the table.

    Args:
        length: L.
        block_size: b.
        random_blocks: <int64>[B or 1, H, n, R], -1 for none.
        last: <int64>[B or 1], the block each sequence ends in.
    Returns:
        <int64>[B or 1, H, L, L]; rows are queries. Blocks past ``last`` are of padding.
    """
    n = random_blocks.shape[2]
    row, block = torch.arange(n, device=last.device)[:, None], torch.arange(n, device=last.device)
    last = last[:, None, None, None]
    everything = (row == 0) | (row == last)
    once = everything | (block == 0) | (block == last) | ((row - block).abs() <= 1)  # [B or 1, 1, n, n]
    again = (random_blocks[..., None] == block).sum(dim=-2)  # [B or 1, H, n, n]
    count = once + again.masked_fill(everything, 0)
    token = torch.arange(length, device=last.device) // block_size
    return count[:, :, token[:, None], token]
