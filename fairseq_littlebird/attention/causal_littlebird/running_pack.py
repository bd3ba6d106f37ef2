"""The causal pack of tokens that are read one after another.

Legend: N sequences, H heads, S pack size, D head width, b block size, n new tokens, m new blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_littlebird.pack import packed, prefixes


class RunningPack:
    """C_P of all tokens so far, <float32 or wider>[N, H, S, D]; None before the first."""

    def __init__(self) -> None:
        self.value: Tensor | None = None
        self.total: Tensor | None = None  # Z <float32 or wider>[N, H, S]

    def add(self, pack_q: Tensor, k: Tensor, v: Tensor) -> None:
        """Reads more tokens.

        Args:
            pack_q: <float>[H, S, D].
            k, v: <float>[N, H, n, D], n ≥ 1.
        """
        new, weight = (x.squeeze(2) for x in packed(pack_q[:, None], k[:, :, None], v[:, :, None], None))
        if self.value is None or self.total is None:
            self.value, self.total = new, weight
            return
        total = torch.logaddexp(self.total, weight)
        kept, added = (self.total - total).exp(), (weight - total).exp()
        self.value, self.total = kept[..., None] * self.value + added[..., None] * new, total

    def add_blocks(self, pack_q: Tensor, k: Tensor, v: Tensor, block_size: int) -> Tensor:
        """Reads more tokens, not the first ones.

        Args:
            pack_q: <float>[H, S, D].
            k, v: <float>[N, H, m·b, D].
            block_size: b.
        Returns:
            C_P before each of these blocks, <float32 or wider>[N, H, m, S, D].
        """
        assert self.value is not None and self.total is not None
        k, v = (x.unflatten(2, (-1, block_size)) for x in (k, v))
        new, weights = packed(pack_q[:, None], k, v, None)
        states = torch.cat([self.value[:, :, None], new], dim=2)
        values, totals = prefixes(states, torch.cat([self.total[:, :, None], weights], dim=2))
        self.value, self.total = values[:, :, -1].clone(), totals[:, :, -1].clone()  # not all of them
        return values[:, :, :-1]

    def reorder(self, order: Tensor) -> None:
        """Goes on with the sequences <int64>[N'], of which one may be named several times."""
        if self.value is not None and self.total is not None:
            self.value, self.total = self.value.index_select(0, order), self.total.index_select(0, order)
