"""Which key blocks a block of queries sees.

Legend: B batch, L tokens, H heads, b block size, n blocks, R random blocks, W = 5 + R slots.
"""

from __future__ import annotations

import torch
from torch import Tensor


def last_blocks(padding_mask: Tensor | None, length: int, block_size: int, device: torch.device) -> Tensor:
    """The block each sequence ends in: that of its last unpadded token, whatever the batch is padded to.

    Returns <int64>[B], or [1] without a padding mask <bool>[B, L]; 0 for a sequence of padding alone.
    """
    if padding_mask is None:
        return torch.full((1,), (length - 1) // block_size, device=device)
    index = torch.arange(length, device=device)
    return index.where(~padding_mask, 0).amax(dim=1) // block_size


def key_blocks(random_blocks: Tensor, last: Tensor) -> Tensor:
    """What blocks 1 … n-2 see: first block, left, own, right, last block, and the random ones; no block twice.

    Args:
        random_blocks: <int64>[B or 1, H, n, R], -1 for none.
        last: <int64>[B or 1], see :func:`last_blocks`.
    Returns:
        <int64>[B or 1, H, n-2, W], -1 for none. Query blocks past ``last`` are padding: what they see is not used.
    """
    H, n = random_blocks.shape[1:3]
    own, last = torch.arange(n, device=last.device)[1:-1].expand(len(last), -1), last[:, None].expand(-1, max(0, n - 2))
    # block 0 and the last one have slots of their own
    left, right = (own - 1).masked_fill(own == 1, -1), (own + 1).masked_fill(own + 1 >= last, -1)
    fixed = torch.stack([torch.zeros_like(own), left, own, right, last], dim=-1)
    sequences = max(len(fixed), len(random_blocks))
    return torch.cat(
        [fixed[:, None].expand(sequences, H, -1, -1), random_blocks[:, :, 1:-1].expand(sequences, -1, -1, -1)], dim=-1
    )
