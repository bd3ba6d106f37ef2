"""What BiALiBi's bias is made of, for all layers and heads at once.

BiALiBi is linear in the slopes, so a block's bias is one product of the slopes with distances shared by all heads:
    bias = -(β · left + γ · right + α · first),   left = right = b/2 for packed keys.
These depend on positions alone.

Legend: B batch, L tokens, R = B or 1 sequences, S pack size, b block size, m ≤ b queries of a block, W its keys.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.littlebird.bialibi import distances
from fairseq_littlebird.attention.littlebird.key_ring import KeyRing, Sequence, query_blocks


def distance_features(
    like: Tensor, positions: Tensor | None, padding_mask: Tensor | None, block_size: int, pack_size: int
) -> Tensor:
    """What the bias of every layer and head is made of: how far each key is to the left, to the right, or first.

    Args:
        like: <float>[…, L, D], for its length, device and type.
        positions: <integer>[B, L], non-decreasing, or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b.
        pack_size: S.
    Returns:
        <float32 or wider>[B or 1, 3, Σ m·W], one block's m·W after another's; 1 where all sequences are alike.
    """
    if positions is None:
        positions = torch.arange(like.shape[-2], device=like.device)[None]
        if padding_mask is not None:  # the last block of each is cut elsewhere
            positions = positions.expand(len(padding_mask), -1)
    wide = torch.promote_types(like.dtype, torch.float32)
    features: Tensor = _features(positions, padding_mask, block_size, pack_size, wide)
    return features


@torch.library.custom_op(
    "fairseq_littlebird::distance_features",
    mutates_args=(),
    schema="(Tensor positions, Tensor? padding_mask, int block_size, int pack_size, ScalarType dtype) -> Tensor",
)
def _features(
    positions: Tensor, padding_mask: Tensor | None, block_size: int, pack_size: int, dtype: torch.dtype
) -> Tensor:
    (R, L), b, S = positions.shape, block_size, pack_size
    features = positions.new_zeros(R, 3, _features_size(L, b, S), dtype=dtype)
    for row in range(R):
        n = Sequence(padding_mask, row, L).n
        position = positions[row, :n]  # as it is: float32 does not know every integer past 2^24
        keys = KeyRing(position.view(1, n, 1), position.new_zeros(1, S, 1), b, positions.dtype)
        for block in query_blocks(n, b, S):
            keys.enter(block.number)
            first = block.columns.start
            here = features[row, :, block.features].view(3, block.queries.stop - block.queries.start, -1)
            here[0], here[1] = distances(position[block.queries], keys.rows[0, first:, 0], dtype)
            here[:2, :, b - first : b - first + S] = b / 2
            if block.number == 0:
                _to_first(here[:, 0, S:])
            # the key of token 0 is in the global slot, or (for blocks 0 and 1) still in its own
            first_key = 0 if first == 0 else S
            _to_first(here[:, :, first_key])
            if block.number == 0:
                here[:, 0, first_key] = 0  # i = j = 0
    return features


@_features.register_fake
def _(positions: Tensor, padding_mask: Tensor | None, block_size: int, pack_size: int, dtype: torch.dtype) -> Tensor:
    R, L = positions.shape
    return positions.new_empty(R, 3, _features_size(L, block_size, pack_size), dtype=dtype)


def _features_size(L: int, b: int, S: int) -> int:
    """Σ m·W over the blocks of L tokens."""
    return L * (S + 4 * b) - min(L, 2 * b) * b


def _to_first(features: Tensor) -> None:
    """α in place of any distance, for the pairs in ``features`` [3, …]."""
    features[:2] = 0
    features[2] = 1
