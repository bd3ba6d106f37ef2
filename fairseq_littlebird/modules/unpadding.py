"""Batches without their padding.

Legend: B batch, L tokens, N unpadded tokens of the whole batch, C hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor

# share of padding from which moving tokens about costs less than computing with padding; accelerators compute faster
MIN_PADDING_TO_UNPAD, MIN_PADDING_ON_ACCELERATORS = 0.05, 0.25


class Unpadding:
    """Where the unpadded tokens of a batch are: linear layers and norms need no others.

    Args:
        padding_mask: <bool>[B, L], True = padding.
        index: <int64>[N], which of the [B · L] tokens are not padding; None counts them.
    """

    def __init__(self, padding_mask: Tensor, index: Tensor | None = None) -> None:
        self.shape = padding_mask.shape
        self.index = (~padding_mask).flatten().nonzero().squeeze(1) if index is None else index

    def unpad(self, x: Tensor) -> Tensor:
        """<float>[B, L, C] to [N, C]."""
        return x.flatten(0, 1).index_select(0, self.index)

    def pad(self, x: Tensor) -> Tensor:
        """<float>[N, C] to [B, L, C], 0 at padding."""
        B, L = self.shape
        return x.new_zeros(B * L, x.shape[1]).index_copy_(0, self.index, x).view(B, L, -1)


class NoUnpadding:
    """The same where there is too little padding to be worth it: [B, L, C] stays as it is."""

    def unpad(self, x: Tensor) -> Tensor:
        return x

    def pad(self, x: Tensor) -> Tensor:
        return x


def unpadding_of(padding_mask: Tensor | None, index: Tensor | None = None) -> Unpadding | NoUnpadding:
    """The cheaper of the two.

    Args:
        padding_mask: <bool>[B, L], True = padding, or None.
        index: as :class:`Unpadding`'s.
    """
    if padding_mask is None or torch.compiler.is_compiling():  # how many are left would break the graph
        return NoUnpadding()
    least = MIN_PADDING_TO_UNPAD if padding_mask.device.type == "cpu" else MIN_PADDING_ON_ACCELERATORS
    padding = float(padding_mask.float().mean()) if index is None else 1 - len(index) / padding_mask.numel()
    return Unpadding(padding_mask, index) if padding >= least else NoUnpadding()
