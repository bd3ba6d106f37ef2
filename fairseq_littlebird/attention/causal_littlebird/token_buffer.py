"""What tokens that follow need of those before: block 0, two blocks in a ring, and the pack; memory stays as it is.

Legend: N sequences, H heads, S pack size, D head width, b block size, n new tokens of m blocks, t tokens before them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_littlebird.blockwise import later_blocks
from fairseq_littlebird.attention.causal_littlebird.running_pack import RunningPack
from fairseq_littlebird.attention.causal_littlebird.slopes import CausalBiALiBi
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import masked_attention
from fairseq_littlebird.attention.common.window_blocks import window_block_attention


class TokenBuffer:
    """Of one layer: token i of block 0 stands in slot i, one of a later block in slot b + (i - b) mod 2b.

    ``pack`` is of all tokens so far; ``pack_k`` and ``pack_v`` <float>[N, H, m, S, D] are what the blocks of a piece
    read of it, as it was before each; None for none. The block that is not yet full goes on with its own.

    Args:
        block_size: b.
    """

    def __init__(self, block_size: int) -> None:
        self.block_size = block_size
        self.count = 0  # t
        self.k: Tensor | None = None  # <float>[N, H, 3b, D]
        self.v: Tensor | None = None
        self.pack = RunningPack()
        self.pack_k: Tensor | None = None
        self.pack_v: Tensor | None = None

    def pieces(self, n: int) -> Iterator[slice]:
        """New tokens, each piece of one block or of several whole ones, if each is given to :meth:`attend` in turn."""
        check_length(n)
        b, start = self.block_size, 0
        while start < n:
            stop, whole = min(n, start + b - self.count % b), (n - start) // b * b
            if self.count % b == 0 and self.count >= 2 * b and whole > b:
                stop = start + whole
            yield slice(start, stop)
            start = stop

    def attend(self, q: Tensor, k: Tensor, v: Tensor, slopes: CausalBiALiBi) -> Tensor:
        """Causal unpack and window attention of a piece of new tokens, which are kept for those that follow.

        Args:
            q, k, v: <float>[N, H, n, D].
            slopes: the layer's.
        Returns:
            <float>[N, H, n, D], what attention over all t + n tokens gives the last n.
        """
        b, n, device = self.block_size, q.shape[2], q.device
        if n > b:
            return self._attend_blocks(q, k, v, slopes)
        queries = torch.arange(self.count, self.count + n, device=device)
        self._put(k, v, queries)
        assert self.k is not None and self.v is not None
        slots, last, block = torch.arange(3 * b, device=device), self.count - 1, (self.count - 1) // b
        tokens = torch.where(slots < b, slots, last - (last - slots) % (2 * b))  # the newest in each slot of the ring
        visible = (tokens <= queries[:, None]) & ((slots < b) | (tokens >= max(b, (block - 1) * b)))
        keys, values, bias = self.k.to(q.dtype), self.v.to(q.dtype), -slopes(queries, tokens)
        if self.pack_k is not None and self.pack_v is not None:
            S = self.pack_k.shape[3]
            keys = torch.cat([self.pack_k[:, :, 0].to(q.dtype), keys], dim=2)
            values = torch.cat([self.pack_v[:, :, 0].to(q.dtype), values], dim=2)
            bias = torch.cat([-slopes.pack_distance(b)[:, None, None].expand(-1, n, S), bias], dim=2)
            visible = torch.cat([visible.new_ones(n, S), visible], dim=1)
        return masked_attention(q, keys, values, visible, 0.0, bias)[0]

    def reorder(self, order: Tensor) -> None:
        """Goes on with the sequences <int64>[N'], of which one may be named several times."""
        for name in ("k", "v", "pack_k", "pack_v"):
            kept = getattr(self, name)
            if kept is not None:
                setattr(self, name, kept.index_select(0, order))
        self.pack.reorder(order)

    def _attend_blocks(self, q: Tensor, k: Tensor, v: Tensor, slopes: CausalBiALiBi) -> Tensor:
        """The same of whole blocks after the second."""
        assert self.k is not None and self.v is not None
        b, n = self.block_size, q.shape[2]
        left = b + (self.count - 2 * b) % (2 * b)  # slot of the block before
        tokens = (
            torch.cat([x[:, :, left : left + b].to(q.dtype), new], dim=2) for x, new in ((self.k, k), (self.v, v))
        )
        block_0 = (x[:, :, :b].to(q.dtype) for x in (self.k, self.v))
        first = self.count // b
        result = window_block_attention(later_blocks(q, *tokens, *block_0, self.pack_k, self.pack_v, slopes, first, b))
        last = torch.arange(self.count + n - 2 * b, self.count + n, device=q.device)
        self.count += n - 2 * b
        self._put(k[:, :, -2 * b :], v[:, :, -2 * b :], last)
        return result

    def _put(self, k: Tensor, v: Tensor, tokens: Tensor) -> None:
        b = self.block_size
        slots = torch.where(tokens < b, tokens, b + (tokens - b) % (2 * b))
        if self.k is None or self.v is None:
            self.k, self.v = (x.new_zeros(*x.shape[:2], 3 * b, x.shape[3]) for x in (k, v))
        for ring, new in ((self.k, k), (self.v, v)):
            ring.index_copy_(2, slots, new.to(ring.dtype))
        self.count += k.shape[2]
