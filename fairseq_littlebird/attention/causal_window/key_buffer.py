"""The keys that causal windows still need, in a ring: memory does not grow with what was read or generated.

Legend: N sequences, H heads, D head width, n new tokens, t tokens before them, M = 1 + the largest w·d, R distances.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_window.arguments import check_arguments
from fairseq_littlebird.attention.causal_window.backends import causal_window_attention
from fairseq_littlebird.attention.causal_window.distances import attend
from fairseq_littlebird.attention.common.blocks import extend
from fairseq_littlebird.attention.common.dilation import runs

MIN_CAPACITY = 16  # tokens; it doubles up to M


class KeyBuffer:
    """Keys and values of one layer's last tokens; token i stands in slot i mod M.

    Args:
        windows, dilations: w and d of each head.
    """

    def __init__(self, windows: Sequence[int], dilations: Sequence[int]) -> None:
        self.windows, self.dilations = tuple(windows), tuple(dilations)
        self.size = 1 + max(w * d for w, d in zip(windows, dilations, strict=True))
        self.count = 0  # t
        self.k: Tensor | None = None  # <float>[N, H, m, D], m ≤ M slots
        self.v: Tensor | None = None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """Causal window attention of new tokens, which are kept for those that follow.

        Args:
            q, k, v: <float>[N, H, n, D], n ≥ 1.
            bias: <float>[1, H, 1, R] or [N, H, n, R]; see :func:`causal_window_attention`.
        Returns:
            <float>[N, H, n, D], what attention over all t + n tokens gives the last n.
        """
        check_arguments(q, k, self.windows, self.dilations, bias)
        if q.shape[2] == 1:
            self._put(k, v)
            return self._read(q, bias)
        past_k, past_v = self._past(k), self._past(v, values=True)
        keys, values = torch.cat([past_k, k], dim=2), torch.cat([past_v, v], dim=2)
        self._put(k, v)
        return causal_window_attention(q, keys, values, None, self.windows, self.dilations, bias)

    def reorder(self, order: Tensor) -> None:
        """Goes on with the sequences <int64>[N'], of which one may be named several times."""
        if self.k is not None and self.v is not None:
            self.k, self.v = self.k.index_select(0, order), self.v.index_select(0, order)

    def _put(self, k: Tensor, v: Tensor) -> None:
        """Writes the new tokens' last M over the oldest."""
        n, M = k.shape[2], self.size
        first = max(self.count, self.count + n - M)
        slots = torch.arange(first, self.count + n, device=k.device) % M
        self.k, self.v = self._with_room(self.k, k, n), self._with_room(self.v, v, n)
        for ring, new in ((self.k, k), (self.v, v)):
            ring.index_copy_(2, slots, new[:, :, first - self.count :].to(ring.dtype))
        self.count += n

    def _with_room(self, ring: Tensor | None, new: Tensor, n: int) -> Tensor:
        """A ring with slots for n more tokens, as far as M; before it is full, token i stands in slot i anyway."""
        if ring is None:
            ring = new[:, :, :0]
        needed, capacity = min(self.count + n, self.size), ring.shape[2]
        if needed <= capacity:
            return ring
        grown = min(max(needed, 2 * capacity, MIN_CAPACITY), self.size)
        return extend(ring, 0, grown - capacity, dim=2)

    def _read(self, q: Tensor, bias: Tensor | None) -> Tensor:
        """Attention of the newest token <float>[N, H, 1, D], which is in the ring, in whatever order the keys stand."""
        assert self.k is not None and self.v is not None
        newest, M, parts = self.count - 1, self.size, []
        for heads, (w, d) in runs(tuple(zip(self.windows, self.dilations, strict=True))):
            steps = min(w, newest // d) + 1
            if d == 1 and steps == min(self.count, M):  # all there are
                slots, keys, values = torch.arange(steps, device=q.device), self.k[:, heads], self.v[:, heads]
                distances = (newest - slots) % M
                keys, values = keys[:, :, :steps], values[:, :, :steps]
            else:
                distances = torch.arange(steps, device=q.device)
                slots = (newest - d * distances) % M
                keys, values = (x[:, heads].index_select(2, slots) for x in (self.k, self.v))
            of_keys = None if bias is None else bias[:, heads].index_select(3, distances)
            visible = torch.ones(1, steps, dtype=torch.bool, device=q.device)
            parts.append(attend(q[:, heads], keys.to(q.dtype), values.to(q.dtype), visible, of_keys))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _past(self, like: Tensor, values: bool = False) -> Tensor:
        """The keys or values before the new ones, oldest first, <float>[N, H, min(t, M - 1), D]."""
        ring, m = self.v if values else self.k, min(self.count, self.size - 1)
        if ring is None:
            return like[:, :, :0]
        slots = torch.arange(self.count - m, self.count, device=like.device) % self.size
        return ring.index_select(2, slots).to(like.dtype)
