"""What BiALiBi's bias is made of, for all layers and heads at once.

BiALiBi is linear in the slopes, so a block's bias is one product of the slopes with distances shared by all heads:
    bias = -(β · left + γ · right + α · first),   left = right = b/2 for pack vectors.
These depend on positions alone. Which keys a block does not see depends on its number and on padding.

Legend: B batch, L tokens, R = B or 1 sequences, S pack size, b block size, n blocks, m ≤ b queries of a block, W its
keys.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.littlebird.bialibi import distances
from fairseq_littlebird.attention.littlebird.spans import RING_BLOCKS, window_size

FEATURES = 3  # left, right, first


class DistanceFeatures(NamedTuple):
    """What the bias of every layer and head is made of."""

    distances: Tensor
    """<float32 or wider>[R, 3, L · (S + 4b)]: how far each key is to the left, to the right, or whether it is first; R
    is 1 where all sequences are alike. A block's m·W begin at its number times b·W (of the widest)."""
    masked: Tensor
    """<float32 or wider>[R, n, S + 4b]: MASKED, to be added to the scores where a block has no key, otherwise 0;
    the first W are used."""


def distance_features(
    like: Tensor, positions: Tensor | None, padding_mask: Tensor | None, block_size: int, pack_size: int
) -> DistanceFeatures:
    """
    Args:
        like: <float>[…, L, D], for its length, device and type.
        positions: <integer>[B, L], non-decreasing, or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b.
        pack_size: S.
    """
    if positions is None:
        positions = torch.arange(like.shape[-2], device=like.device)[None]
    wide = torch.promote_types(like.dtype, torch.float32)
    return DistanceFeatures(*_features(positions, padding_mask, block_size, pack_size, wide))


@torch.library.custom_op(
    "fairseq_littlebird::distance_features",
    mutates_args=(),
    schema="(Tensor positions, Tensor? padding_mask, int block_size, int pack_size, ScalarType dtype) "
    "-> (Tensor, Tensor)",
)
def _features(
    positions: Tensor, padding_mask: Tensor | None, block_size: int, pack_size: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    (R, L), b, S = positions.shape, block_size, pack_size
    W, device, n = window_size(L, b, S), positions.device, -(-L // b)
    features = positions.new_zeros(R, FEATURES, _size(L, b, S), dtype=dtype)
    masked = positions.new_zeros(
        1 if padding_mask is None else len(padding_mask), n, S + (RING_BLOCKS + 1) * b, dtype=dtype
    )
    for block in range(n):
        queries = slice(block * b, min(L, (block + 1) * b))
        m = queries.stop - queries.start
        w = window_size(L, b, S, block)
        here = features[:, :, queries.start * W : queries.start * W + m * w].view(R, FEATURES, m, w)
        here[:, :2, :, :S] = b / 2
        tokens, absent = (t.to(device) for t in _tokens(block, L, b))
        if padding_mask is not None:
            absent = absent | padding_mask[:, tokens]
        masked[:, block, S:w].masked_fill_(absent, MASKED)
        left, right, first = here[..., S:].unbind(1)  # [R, m, w - S]
        # positions as they are: float32 does not know every integer past 2^24
        of_keys, of_queries = positions[:, tokens], positions[:, queries]
        for to, distance in zip((left, right), distances(of_queries, of_keys, dtype), strict=True):
            to.copy_(distance)
        to_first = (tokens == 0).expand(m, -1)
        if block == 0:  # from token 0 to all but itself, and from all others to it
            from_first = (torch.arange(m, device=device) == 0)[:, None]
            itself, to_first = to_first & from_first, to_first ^ from_first
            left.masked_fill_(itself, 0)
            right.masked_fill_(itself, 0)
        left.masked_fill_(to_first, 0)
        right.masked_fill_(to_first, 0)
        first.copy_(to_first.expand(R, m, -1))
    return features, masked


def _tokens(block: int, L: int, b: int) -> tuple[Tensor, Tensor]:
    """Which token each key of a block is (<int64>[W-S]), and where it is none that the block sees (<bool>[W-S])."""
    keys = torch.arange(window_size(L, b, 0, block))
    slots = keys // b
    if RING_BLOCKS * b >= L:  # which hold all
        return keys, (slots > 0) & ((slots - block).abs() > 1)
    # the one of the block and its neighbours whose turn it is in each slot; last, the global block
    number = block - 1 + (slots - (block - 1)) % RING_BLOCKS
    number = torch.where(slots < RING_BLOCKS, number, 0)
    tokens = number * b + keys % b
    return tokens.clamp(0, L - 1), (number < 0) | (tokens >= L)


@_features.register_fake
def _(
    positions: Tensor, padding_mask: Tensor | None, block_size: int, pack_size: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    (R, L), b, S = positions.shape, block_size, pack_size
    masks = 1 if padding_mask is None else padding_mask.shape[0]
    masked = positions.new_empty(masks, -(-L // b), S + (RING_BLOCKS + 1) * b, dtype=dtype)
    return positions.new_empty(R, FEATURES, _size(L, b, S), dtype=dtype), masked


def _size(L: int, b: int, S: int) -> int:
    """The same multiple of every L, so that a graph is of any length."""
    return L * (S + (RING_BLOCKS + 1) * b)
