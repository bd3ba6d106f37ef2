"""Which query sees which key, as boolean masks.

Legend: B batch, L tokens, H heads, b block size, n blocks, R random blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sliding_window_pattern(
    length: int,
    window: int,
    dilation: int = 1,
    device: torch.device | None = None,
    queries: slice = slice(None),
) -> Tensor:
    """The dilated sliding window (Longformer, section 3.1): window / 2 tokens on each side, in steps of the dilation.

    Returns <bool>[L, L], True = visible; queries by keys, those of a slice if one is given; each sees itself.
    """
    index = torch.arange(length, device=device)
    distance = (index[queries, None] - index).abs()
    return (distance <= window // 2 * dilation) & (distance % dilation == 0)


def causal_window_pattern(
    queries: int, keys: int, window: int, dilation: int = 1, device: torch.device | None = None
) -> Tensor:
    """A window that looks back: token i sees the tokens i, i - d, …, i - w·d of a window w and a dilation d.

    Args:
        queries, keys: how many; the queries are the last of the keys' tokens.
        window, dilation: w and d.
        device: of the result.
    Returns:
        <bool>[queries, keys], True = visible.
    """
    index = torch.arange(keys, device=device)
    distance = index[keys - queries :, None] - index
    return (distance >= 0) & (distance <= window * dilation) & (distance % dilation == 0)


def block_window_pattern(
    length: int, block_size: int, device: torch.device | None = None, queries: slice = slice(None)
) -> Tensor:
    """LittleBird's window (section 3.2): the global block 0, and the own, the left and the right block.

    Returns <bool>[L, L], True = visible; queries by keys, those of a slice if one is given.
    """
    block = torch.arange(length, device=device) // block_size
    return (block[None, :] == 0) | ((block[queries, None] - block[None, :]).abs() <= 1)


def causal_block_window_pattern(length: int, block_size: int, device: torch.device | None = None) -> Tensor:
    """LittleBird's window where nothing to the right is seen: of block 0, the left and the own block what has come.

    Returns <bool>[L, L], True = visible; queries by keys.
    """
    index = torch.arange(length, device=device)
    return block_window_pattern(length, block_size, device) & (index <= index[:, None])


def bigbird_pattern(length: int, block_size: int, random_blocks: Tensor, second: Tensor) -> Tensor:
    """How often each token sees each other in BigBird-ITC (Zaheer et al., 2020, appendix D).

    Queries of the global blocks, the first and one more, see everything once. Others see these two blocks, their own,
    its left and its right one, all of them once, and then the random blocks as often as they stand in the table.

    Args:
        length: L.
        block_size: b.
        random_blocks: <int64>[B or 1, H, n, R], -1 for none.
        second: <int64>[B or 1], the global block beside block 0.
    Returns:
        <int64>[B or 1, H, L, L]; queries by keys.
    """
    n = random_blocks.shape[2]
    query, block = torch.arange(n, device=second.device)[:, None], torch.arange(n, device=second.device)
    second = second[:, None, None, None]
    everything = (query == 0) | (query == second)
    once = everything | (block == 0) | (block == second) | ((query - block).abs() <= 1)  # [B or 1, 1, n, n]
    again = (random_blocks[..., None] == block).sum(dim=-2)  # [B or 1, H, n, n]
    count = once + again.masked_fill(everything, 0)
    token = torch.arange(length, device=second.device) // block_size
    return count[:, :, token[:, None], token]
