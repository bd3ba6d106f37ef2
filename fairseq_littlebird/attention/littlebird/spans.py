"""Which sequences and query blocks are computed together: as many as stay in a core's cache.

A small block is not worth the operators that compute it, so several are computed together: of sequences of similar
length, or of the segments that a long one is cut into where there are few sequences.

Legend: B sequences, L tokens, S pack size, H heads, b block size, n tokens of the longest sequence of a span, G
sequences of a span, J segments of each, T blocks of a segment, W keys of a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK_SIZE = 2**18  # scores that are computed together: a megabyte in float32, of which three lie in cache
MIN_SHARE = 0.75  # of the longest sequence's blocks that another one needs to be computed with it
RING_BLOCKS = 3


def window_size(length: int, block_size: int, pack_size: int, block: int = 2) -> int:
    """W: the pack, and every token where three blocks hold them all, otherwise three blocks and the global one.

    Blocks 0 and 1 have the global block among the three.
    """
    if length <= RING_BLOCKS * block_size:
        return pack_size + length
    return pack_size + (RING_BLOCKS + (block >= 2)) * block_size


@dataclass(frozen=True)
class Span:
    """Segments that are computed together: segment j of each sequence begins with block ``first`` + j · ``blocks``."""

    sequences: slice | Tensor  # which of the batch: a slice, or <int64>[G]
    n: int  # tokens that are computed of each
    first: int  # block
    segments: int  # J
    blocks: int  # T; a multiple of 3 where there are several segments, so that all have a block in the same slot

    def of(self, x: Tensor) -> Tensor:
        """These sequences' part of <any>[B or 1, …], a view if they stand together."""
        if len(x) == 1:
            return x
        return x[self.sequences] if isinstance(self.sequences, slice) else x.index_select(0, self.sequences)

    def write_back(self, x: Tensor, part: Tensor) -> None:
        """What was written to ``of(x)``, to <any>[B, …] itself, if it was a copy."""
        if len(x) > 1 and isinstance(self.sequences, Tensor):
            x.index_copy_(0, self.sequences, part)


def spans(padding_mask: Tensor | None, shape: Sequence[int], block_size: int, window: int) -> Iterator[Span]:
    """All tokens of a batch up to the last unpadded one of each sequence.

    Args:
        padding_mask: <bool>[B, L], True = padding, or None.
        shape: of the queries, [B, H, L, D].
        block_size: b.
        window: W.
    """
    B, H, L, _ = shape
    most = max(1, CHUNK_SIZE // (H * min(block_size, L) * window))
    for sequences, n in _groups(padding_mask, B, L, block_size, most):
        count = sequences.stop - sequences.start if isinstance(sequences, slice) else len(sequences)
        whole, every = n // block_size, -(-n // block_size)
        segments, first = most // count, 0
        if segments > 1 and RING_BLOCKS * block_size < L and whole > 2:
            blocks = RING_BLOCKS * -(-(whole - 2) // (RING_BLOCKS * segments))
            segments = (whole - 2) // blocks
            if segments > 1:
                yield Span(sequences, n, 0, 1, 2)  # whose windows are narrower
                yield Span(sequences, n, 2, segments, blocks)
                first = 2 + segments * blocks
        if first < every:
            yield Span(sequences, n, first, 1, every - first)


def lengths_of(padding_mask: Tensor) -> Tensor:
    """Tokens of each sequence up to its last unpadded one, <int64>[B], of a mask <bool>[B, L]."""
    index = torch.arange(1, padding_mask.shape[1] + 1, device=padding_mask.device)
    return index.masked_fill(padding_mask, 0).amax(dim=1)


def clear_ends(x: Tensor, padding_mask: Tensor | None) -> Tensor:
    """Overwrites <float>[B, H, L, D] with 0 past the last unpadded token of each sequence, and returns it."""
    if padding_mask is None:
        return x
    past = torch.arange(x.shape[2], device=x.device) >= lengths_of(padding_mask)[:, None]
    return x.masked_fill_(past[:, None, :, None], 0.0)


def _groups(
    padding_mask: Tensor | None, B: int, L: int, block_size: int, most: int
) -> Iterator[tuple[slice | Tensor, int]]:
    """At most ``most`` sequences of similar length, and the tokens of the longest; padding alone is in no group."""
    lengths = [L] * B if padding_mask is None else lengths_of(padding_mask).tolist()
    blocks = [-(-n // block_size) for n in lengths]
    order = sorted((s for s in range(B) if lengths[s]), key=lambda s: -blocks[s])  # stable: equals stay together
    while order:
        similar = sum(blocks[s] >= MIN_SHARE * blocks[order[0]] for s in order)
        size = -(-similar // -(-similar // most))  # evenly: 8 and 8 rather than 12 and 4
        group, order = sorted(order[:size]), order[size:]
        n = max(lengths[s] for s in group)
        if group[-1] - group[0] == len(group) - 1:
            yield slice(group[0], group[-1] + 1), n
        else:
            yield torch.tensor(group), n
