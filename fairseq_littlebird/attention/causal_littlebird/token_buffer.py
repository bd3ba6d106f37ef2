"""What tokens that follow need of those before: block 0, and two blocks in a ring; memory stays as it is.

Legend: N sequences, H heads, D head width, b block size, n new tokens, t tokens before them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_littlebird.blockwise import later_blocks
from fairseq_littlebird.attention.causal_littlebird.slopes import CausalBiALiBi
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import masked_attention
from fairseq_littlebird.attention.common.window_blocks import window_block_attention


class TokenBuffer:
    """Of one layer: token i of block 0 stands in slot i, one of a later block in slot b + (i - b) mod 2b.

    Args:
        block_size: b.
    """

    def __init__(self, block_size: int) -> None:
        self.block_size = block_size
        self.count = 0  # t
        self.k: Tensor | None = None  # <float>[N, H, 3b, D]
        self.v: Tensor | None = None

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
        """Causal window and global attention of a piece of new tokens, which are kept for those that follow.

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
        return masked_attention(q, keys, values, visible, 0.0, bias)[0]

    def reorder(self, order: Tensor) -> None:
        """Goes on with the sequences <int64>[N'], of which one may be named several times."""
        if self.k is not None and self.v is not None:
            self.k, self.v = self.k.index_select(0, order), self.v.index_select(0, order)

    def _attend_blocks(self, q: Tensor, k: Tensor, v: Tensor, slopes: CausalBiALiBi) -> Tensor:
        """The same of whole blocks after the second."""
        assert self.k is not None and self.v is not None
        b, n = self.block_size, q.shape[2]
        left = slice(b + (self.count - 2 * b) % (2 * b), None)  # slots of the block before, and perhaps of another
        keys, values = (
            torch.cat([x[:, :, left][:, :, :b].to(q.dtype), new], dim=2) for x, new in ((self.k, k), (self.v, v))
        )
        global_k, global_v = (x[:, :, :b].to(q.dtype) for x in (self.k, self.v))
        given = later_blocks(q, keys, values, global_k, global_v, slopes, self.count // b, b)
        result = window_block_attention(given)
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
