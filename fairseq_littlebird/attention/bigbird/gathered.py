"""BigBird's attention with the key blocks of every query block side by side: plain PyTorch, for accelerators.

A few large products, 5 + R copies of keys and values; memory is linear in L.

Legend: B batch, L tokens, H heads, D head width, b block size, n blocks, R random blocks, W = 5 + R key blocks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.bigbird.global_blocks import local_blocks, second_global_block
from fairseq_littlebird.attention.bigbird.key_blocks import key_blocks, last_blocks
from fairseq_littlebird.attention.common.blocks import split_blocks
from fairseq_littlebird.attention.common.masked_softmax import fused_masked_attention


def gathered_bigbird_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    padding_mask: Tensor | None,
    block_size: int,
    random_blocks: Tensor,
    dropout_p: float = 0.0,
    global_blocks: str = "first_last",
) -> Tensor:
    """Arguments as :func:`dense_bigbird_attention`; returns its result alone, <float>[B, H, L, D]."""
    (B, H, L, D), b = q.shape, block_size
    last = last_blocks(padding_mask, L, b, q.device)
    q, k, v = (split_blocks(x, b) for x in (q, k, v))  # [B, H, n, b, D]
    n = q.shape[2]
    real = torch.ones(1, L, dtype=torch.bool, device=q.device) if padding_mask is None else ~padding_mask
    real = split_blocks(real, b, dim=1)  # [B or 1, n, b]

    seen, local = key_blocks(random_blocks, last, global_blocks), local_blocks(global_blocks, n)
    keep = (seen >= 0)[..., None] & _rows(real, seen)  # [B or 1, H, n-2, W, b]
    keys, values = (_blocks(x, seen).flatten(3, 4) for x in (k, v))  # [B, H, n-2, W·b, D]
    middle = _attention(q[:, :, local], keys, values, keep.flatten(3)[:, :, :, None], dropout_p)

    second = second_global_block(global_blocks, last)
    ends = torch.stack([torch.zeros_like(last), second], dim=1)[:, None].expand(-1, H, -1)  # [B or 1, H, 2]
    both, keys, values = (x.flatten(2, 3)[:, :, None] for x in (_blocks(q, ends), k, v))  # [B, H, 1, 2b or n·b, D]
    first, end = _attention(both, keys, values, real.flatten(1)[:, None, None, None], dropout_p).chunk(2, dim=3)

    result = F.pad(middle, (0, 0, 0, 0, local.start, max(0, n - local.start - middle.shape[2])))[:, :, 1:n]
    result = torch.cat([first, result], dim=2)
    # a sequence of one block has it overwritten with itself
    where = (torch.arange(B * H, device=q.device) * n).view(B, H) + second[:, None]
    result = result.reshape(B * H * n, b * D).index_copy(0, where.flatten(), end.reshape(B * H, b * D))
    return result.view(B, H, n * b, D)[:, :, :L]


def _rows(real: Tensor, seen: Tensor) -> Tensor:
    """Which tokens of the seen blocks are not padding: <bool>[B or 1, n, b] to [B or 1, H, n-2, W, b]."""
    index = torch.arange(len(real), device=real.device)[:, None, None, None]
    return real[index, seen.clamp(min=0)]


def _blocks(x: Tensor, index: Tensor) -> Tensor:
    """Blocks of ``x`` <float>[B, H, n, b, D] at ``index`` <int64>[B or 1, H, …]: [B, H, …, b, D]; any for -1."""
    B, H, n, b, D = x.shape
    head = torch.arange(B * H, device=x.device).view(B, H, *[1] * (index.dim() - 2)) * n
    # whole blocks at once: one stretch of memory each
    chosen = x.reshape(B * H * n, b * D).index_select(0, (head + index.clamp(min=0)).flatten())
    return chosen.view(B, H, *index.shape[2:], b, D)


def _attention(q: Tensor, k: Tensor, v: Tensor, keep: Tensor, dropout_p: float) -> Tensor:
    """Over the keys to keep; 0 where there are none.

    q <float>[B, H, m, …, D], k and v <float>[B, H, m, K, D], keep <bool>[B or 1, H or 1, m, 1, K].
    """
    keep = keep.expand(*q.shape[:2], -1, -1, -1)
    heads, k, v, keep = (x.flatten(0, 1) for x in (q, k, v, keep))
    return fused_masked_attention(heads, k, v, keep, dropout_p).view(q.shape)
