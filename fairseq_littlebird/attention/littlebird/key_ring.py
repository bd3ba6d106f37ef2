"""The keys of one query block after another in a small ring that fits a core's cache.

[global block; packed; left, own and right block]: moving on by a block brings in one new key block over the oldest
(block j lies in slot j mod 3). Gradients gather in a ring of their own, whose blocks are written out as they leave it.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, n tokens of one sequence up to its last
unpadded one, m ≤ b queries of a block, W = S + 4b keys of a block (S + 3b where the window holds the global block).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.masked_softmax import MASKED


class Block(NamedTuple):
    """One query block of a sequence, and where its keys lie in the ring."""

    number: int
    queries: slice  # its tokens
    columns: slice  # of the ring
    masked: list[slice]  # of these columns, those that hold no key
    features: slice  # in the last dimension of the features


def query_blocks(n: int, b: int, S: int) -> Iterator[Block]:
    """The query blocks of a sequence of n tokens."""
    offset = 0
    for i in range(-(-n // b)):
        first = 0 if i >= 2 else b  # blocks 0 and 1 have the global block in their window: count it once
        masked = []
        for j in (i - 1, i, i + 1):
            slot, size = b + S + j % 3 * b - first, max(0, min(b, n - j * b)) if j >= 0 else 0
            if size < b:
                masked.append(slice(slot + size, slot + b))
        m = min(b, n - i * b)
        end = offset + m * (S + 4 * b - first)
        yield Block(i, slice(i * b, i * b + m), slice(first, None), masked, slice(offset, end))
        offset = end


class KeyRing:
    """[global block; packed; three blocks] of one sequence's keys or values: ``rows`` <float>[H, S + 4b, D].

    Args:
        x: <float>[H, n, D].
        packed: <float>[H, S, D].
        b: block size.
        dtype: of the rows.
    """

    def __init__(self, x: Tensor, packed: Tensor, b: int, dtype: torch.dtype) -> None:
        (H, _, D), S = x.shape, packed.shape[1]
        self.x, self.b, self.S = x, b, S
        self.rows = self.empty_rows(H, S + 4 * b, D, dtype)
        self.rows[:, b : b + S] = packed

    def empty_rows(self, H: int, W: int, D: int, dtype: torch.dtype) -> Tensor:
        return self.x.new_zeros(W, H, D, dtype=dtype).transpose(0, 1)  # a token's heads together, as in x

    def slot(self, block: int) -> Tensor:
        start = self.b + self.S + block % 3 * self.b
        return self.rows[:, start : start + self.b]

    def enter(self, block: int) -> None:
        """Brings in what block ``block`` needs that its predecessor did not."""
        if block == 0:
            self._copy(0, self.slot(0))
        if block == 2:
            self._copy(0, self.rows[:, : self.b])
        self._copy(block + 1, self.slot(block + 1))

    def _copy(self, block: int, to: Tensor) -> None:
        tokens = self.x[:, block * self.b : (block + 1) * self.b]
        to[:, : tokens.shape[1]] = tokens


class GradientRing(KeyRing):
    """Gradients of the rows; ``leave`` writes them to ``x`` <float>[H, n, D] and ``packed`` <float>[H, S, D]."""

    def __init__(self, x: Tensor, packed: Tensor, b: int, dtype: torch.dtype) -> None:
        super().__init__(x, torch.zeros_like(packed), b, dtype)
        self.packed = packed

    def empty_rows(self, H: int, W: int, D: int, dtype: torch.dtype) -> Tensor:
        return self.x.new_zeros(H, W, D, dtype=dtype)  # a head's rows together: products add to no others at once

    def leave(self, block: int, last: bool) -> None:
        """Writes out what no block after ``block`` adds to."""
        for j in (block - 1, block) if last else (block - 1,):
            if j >= 0:
                tokens, slot = self.x[:, j * self.b : (j + 1) * self.b], self.slot(j)
                tokens.copy_(slot[:, : tokens.shape[1]])
                slot.zero_()
        if last:
            self.x[:, : self.b] += self.rows[:, : self.b][:, : self.x.shape[1]]
            self.packed.copy_(self.rows[:, self.b : self.b + self.S])


class Sequence:
    """One sequence of the batch: its length without the padding behind it, and padding before that.

    Args:
        padding_mask: <bool>[B, L] or None.
        index: which sequence.
        length: L.
    """

    def __init__(self, padding_mask: Tensor | None, index: int, length: int) -> None:
        self.n, self.padding = length, None
        if padding_mask is not None:
            real = (~padding_mask[index]).nonzero()
            self.n = int(real[-1]) + 1 if len(real) else 0
            if len(real) < self.n:
                self.padding = padding_mask[index, : self.n]

    def hide(self, scores: Tensor, block: Block, b: int, S: int) -> None:
        """Overwrites the scores [H, m, W] of what is no key."""
        for columns in block.masked:
            scores[:, :, columns] = MASKED
        if self.padding is None:
            return
        first = block.columns.start
        places = [(j, b + S + j % 3 * b - first) for j in (block.number - 1, block.number, block.number + 1) if j >= 0]
        for j, column in [(0, 0)] * (first == 0) + places:
            padding = self.padding[j * b : (j + 1) * b]
            scores[:, :, column : column + len(padding)].masked_fill_(padding, MASKED)
