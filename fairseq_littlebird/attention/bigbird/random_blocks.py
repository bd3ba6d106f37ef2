"""Which blocks a BigBird layer sees at random, made of numbers alone: no random state is read or moved.

Legend: H heads, n blocks of a sequence, R random blocks.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from fairseq_littlebird.attention.bigbird.global_blocks import local_blocks

RANDOM_ATTENTION = ("seeded", "first_block")


@lru_cache(maxsize=512)
def random_blocks(
    kind: str, blocks: int, count: int, heads: int, layers: int, seed: int = 0, global_blocks: str = "first_last"
) -> Tensor:
    """The tables of all layers for sequences of so many blocks.

    ``seeded``: drawn uniformly from the blocks outside the window of a query block, none twice; all if they are few.
    The same (seed, layer, head, number of blocks) gives the same table everywhere.

    ``first_block``: what transformers (since 4.29) computes outside training. Up to 5 + 2R blocks it attends in full,
    so the table holds all blocks not yet seen; past that its R slots hold block 0, which is then counted 1 + R times.

    Args:
        kind: one of ``RANDOM_ATTENTION``.
        blocks: n.
        count: R.
        heads, layers: how many.
        seed: below 2³².
        global_blocks: which blocks are global, see ``GLOBAL_BLOCKS``.
    Returns:
        <int64>[layers, H, n, R], or wider (``first_block``); -1 for none. The global blocks have none.
    """
    if kind == "first_block":
        table = first_blocks(blocks, count, global_blocks).expand(layers, heads, -1, -1)
    else:
        table = seeded_blocks(blocks, count, heads, layers, seed, global_blocks)
    local = torch.zeros(blocks, 1, dtype=torch.bool)
    local[local_blocks(global_blocks, blocks)] = True
    return table.masked_fill(~local, -1)


def seeded_blocks(blocks: int, count: int, heads: int, layers: int, seed: int, global_blocks: str) -> Tensor:
    """<int64>[layers, H, n, R], ascending, -1 for none; the global blocks are not yet taken out."""
    layer, head, query = torch.arange(layers)[:, None, None], torch.arange(heads)[:, None], torch.arange(blocks)
    local = local_blocks(global_blocks, blocks)
    first, last = (query - 1).clamp(min=local.start), (query + 1).clamp(max=local.stop - 1)  # of the window, not global
    window = (last - first + 1).clamp(min=0)
    unseen = (blocks - 2 - window).expand(layers, heads, -1)
    chosen = unseen.new_empty(layers, heads, blocks, 0)  # places among the unseen, ascending
    for n in range(count):
        place = hashed(seed, layer, head, blocks, query, n) % (unseen - n).clamp(min=1)
        for earlier in chosen.unbind(-1):
            place = place + (place >= earlier)
        place = place.masked_fill(unseen <= n, blocks)
        chosen = torch.cat([chosen, place[..., None]], dim=-1).sort(dim=-1).values
    block = chosen + local.start
    block = block + (block >= first[:, None]) * window[:, None]
    return block.masked_fill(chosen == blocks, -1)


def first_blocks(blocks: int, count: int, global_blocks: str) -> Tensor:
    """<int64>[n, R or more], -1 for none; the global blocks are not yet taken out."""
    if blocks > 5 + 2 * count:
        return torch.zeros(blocks, count, dtype=torch.int64)
    query, other = torch.arange(blocks)[:, None], torch.arange(blocks)
    local = local_blocks(global_blocks, blocks)
    seen = (other < local.start) | (other >= local.stop) | ((query - other).abs() <= 1)
    return other.expand(blocks, -1).masked_fill(seen, -1)


def hashed(*numbers: int | Tensor) -> Tensor:
    """A number below 2³² that looks random, of non-negative integers below 2³²; tensors broadcast."""
    low = 2**32 - 1
    h = torch.zeros((), dtype=torch.int64)
    for number in numbers:
        h = h * 0x9E3779B1 + number + 1 & low
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            h = (h ^ h >> shift) * factor & low
        h = h ^ h >> 16
    return h
