"""Sequences that are padded on the left.

Encoders read position 0, the global block and where blocks begin off a sequence's first place, which must be a token.

Legend: B batch, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor


def refuse_left_padding(padding_mask: Tensor) -> None:
    """Raises ValueError where a sequence starts with padding.

    A compiled graph goes unchecked: asking would break it. Encoders ask only about batches that have padding, whose
    padding they count anyway; others wait for nothing.

    Args:
        padding_mask: <bool>[B, L], True = padding; sequences of padding alone are well.
    """
    if not torch.compiler.is_compiling() and first_tokens(padding_mask).any():
        raise ValueError("padding on the left: pad on the right, so that each sequence starts with its first token")


def first_tokens(padding_mask: Tensor) -> Tensor:
    """Where each sequence's first token stands: <bool>[B, L] to <int64>[B], 0 for sequences of padding alone."""
    return (~padding_mask).long().argmax(dim=1)


def shifted(x: Tensor, places: Tensor) -> Tensor:
    """Each sequence moved to the left, what falls off at its start appended to its end.

    Args:
        x: [B, L, …].
        places: <int64>[B], of -L … L; negative ones move to the right.
    Returns:
        [B, L, …].
    """
    L = x.shape[1]
    index = torch.arange(L, device=x.device) + places[:, None]
    index = torch.where(index < L, index, index - L)
    index = torch.where(index < 0, index + L, index)
    return x.gather(1, index.view(*index.shape, *(1,) * (x.dim() - 2)).expand_as(x))
