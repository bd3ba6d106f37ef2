"""Which key blocks a block of queries sees.

Legend: B batch, L tokens, H heads, b block size, n blocks, R random blocks, W = 5 + R slots.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.bigbird.global_blocks import local_blocks, second_global_block


def last_blocks(padding_mask: Tensor | None, length: int, block_size: int, device: torch.device) -> Tensor:
    """The block each sequence ends in: that of its last unpadded token, whatever the batch is padded to.

    Returns <int64>[B], or [1] without a padding mask <bool>[B, L]; 0 for a sequence of padding alone.
    """
    if padding_mask is None:
        return torch.full((1,), (length - 1) // block_size, device=device)
    index = torch.arange(length, device=device)
    return index.where(~padding_mask, 0).amax(dim=1) // block_size


def key_blocks(random_blocks: Tensor, last: Tensor, global_blocks: str = "first_last") -> Tensor:
    """What the blocks that are not global see: block 0, left, own, right, the other global block, and the random ones;
    no block twice.

    Args:
        random_blocks: <int64>[B or 1, H, n, R], -1 for none.
        last: <int64>[B or 1], see :func:`last_blocks`.
        global_blocks: see :func:`local_blocks`.
    Returns:
        <int64>[B or 1, H, n-2, W], -1 for none. Query blocks past ``last`` are padding: what they see is not used.
    """
    H, n = random_blocks.shape[1:3]
    local = local_blocks(global_blocks, n)
    own = torch.arange(n, device=last.device)[local].expand(len(last), -1)
    last, second = (x[:, None].expand_as(own) for x in (last, second_global_block(global_blocks, last)))
    left, right = own - 1, own + 1
    # the global blocks have slots of their own
    left = left.masked_fill((left == 0) | (left == second), -1)
    right = right.masked_fill((right > last) | (right == second), -1)
    fixed = torch.stack([torch.zeros_like(own), left, own, right, second], dim=-1)
    sequences = max(len(fixed), len(random_blocks))
    return torch.cat(
        [fixed[:, None].expand(sequences, H, -1, -1), random_blocks[:, :, local].expand(sequences, -1, -1, -1)], dim=-1
    )
