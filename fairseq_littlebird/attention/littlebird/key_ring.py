"""The keys of one query block after another in a small ring that fits a core's cache.

[pack; three blocks; global block]: moving on by a block brings in one new key block over the oldest (block j lies in
slot j mod 3). Where three blocks hold the whole sequence they are not followed by the global one. Gradients gather in
a ring of their own, whose blocks are added to the result as they leave it.

Legend: n tokens, S pack size, H heads, D head width, b block size, G sequences, J segments of each, T blocks of a
segment, m ≤ b tokens, W keys of a block.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fairseq_littlebird.attention.littlebird.spans import RING_BLOCKS, Span


def query_blocks(n: int, b: int, span: Span) -> Iterator[tuple[int, int]]:
    """Number of the first segment's block, and tokens of a block m, for one step of a span after another."""
    for block in range(span.first, span.first + span.blocks):
        yield block, min(b, n - block * b)


def of_block(x: Tensor, b: int, block: int, span: Span, m: int, segments: slice) -> Tensor:
    """A view of the segments' blocks, <any>[G, J', H, m, D].

    Args:
        x: <any>[G, H, n, D].
        b: block size.
        block: number of the block of the first segment; the other segments are as far on as they begin later.
        span: says where.
        m: tokens of each block.
        segments: J' of them.
    """
    (G, H, _, D), (of_sequence, of_head, of_token, of_column) = x.shape, x.stride()
    start = x.storage_offset() + (block + segments.start * span.blocks) * b * of_token
    size = (G, segments.stop - segments.start, H, m, D)
    return x.as_strided(size, (of_sequence, span.blocks * b * of_token, of_head, of_token, of_column), start)


class KeyRing:
    """Keys or values of one block of every segment of a span: ``ring`` <float>[G, J, H, W, D].

    Args:
        x: <float>[G, H, n, D].
        pack: <float>[G, H, S, D].
        span: which sequences and segments.
        b: block size.
        W: keys of a block.
        dtype: of the ring.
    """

    def __init__(self, x: Tensor, pack: Tensor, span: Span, b: int, W: int, dtype: torch.dtype) -> None:
        (G, H, _, D), self.S = x.shape, pack.shape[2]
        self.x, self.pack, self.span, self.b = x, pack, span, b
        self.ring = x.new_zeros((G, span.segments, H, W, D), dtype=dtype)
        self.flat = self.ring.view(-1, W, D)
        self.ends = self.S + RING_BLOCKS * b  # of the three blocks
        self.has_global = self.ends < W
        self.fill()

    def fill(self) -> None:
        """What is there before the first block."""
        self.ring[..., : self.S, :] = self.pack.unsqueeze(1)
        if self.has_global:
            tokens = self.x[:, None, :, : self.b]
            self.ring[..., self.ends : self.ends + tokens.shape[3], :] = tokens
        for block in (self.span.first - 1, self.span.first) if self.has_global else range(self.span.first + 1):
            self._copy(block)

    def enter(self, block: int) -> None:
        """Brings in what block ``block`` needs that its predecessor did not."""
        self._copy(block + 1)

    def first(self, W: int) -> Tensor:
        """So many keys of each head, <float>[G · J · H, W, D]."""
        return self.flat if self.flat.shape[1] == W else self.flat[:, :W]

    def pieces(self, block: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Views of one block in the sequences and in the ring: the whole ones, then what the end cuts."""
        J, T, b, n = self.span.segments, self.span.blocks, self.b, self.x.shape[2]
        start = self.S + block % RING_BLOCKS * b
        first, stop = int(block < 0), min(J, (n // b - 1 - block) // T + 1)
        for segments, m in ((slice(first, stop), b), (slice(stop, stop + 1), n - (block + stop * T) * b)):
            if first <= segments.start < min(segments.stop, J) and m > 0:
                yield (
                    of_block(self.x, b, block, self.span, m, segments),
                    self.ring[:, segments, :, start : start + m],
                )

    def _copy(self, block: int) -> None:
        for tokens, slot in self.pieces(block):
            slot.copy_(tokens)


class GradientRing(KeyRing):
    """Gradients of such a ring; ``leave`` adds them to ``x`` <float>[G, H, n, D] and ``pack`` <float>[G, H, S, D]."""

    def fill(self) -> None:
        pass

    def add(self, left: Tensor, right: Tensor) -> None:
        """Adds leftᵀ right; left <float>[G · J · H, m, W], right <float>[G · J · H, m, D]."""
        to = self.first(left.shape[2])
        if to is self.flat and left.dtype == to.dtype:
            to.baddbmm_(left.transpose(1, 2), right)
        else:  # to a part of them torch would make a product a head
            to.add_(torch.bmm(left.transpose(1, 2), right))

    def leave(self, block: int, last: bool) -> None:
        """Writes out what no block after ``block`` adds to."""
        if not self.has_global:  # every block sees the first one, which stays in its slot
            blocks = range(RING_BLOCKS) if last else range(0)
        else:
            blocks = range(block - 1, block + 2 if last else block)
        for number in blocks:
            for tokens, slot in self.pieces(number):
                tokens.add_(slot)
                slot.zero_()
        if last:
            total = self.ring.sum(dim=1)
            self.pack.add_(total[..., : self.S, :])
            if self.has_global:
                tokens = self.x[:, :, : self.b]
                tokens.add_(total[..., self.ends : self.ends + tokens.shape[2], :])
