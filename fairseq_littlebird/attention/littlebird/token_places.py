"""What the fused kernels read of a batch besides its tensors, once for all layers; made by ``kernels.places``."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class TokenPlaces(NamedTuple):
    """Legend: B batch, L tokens."""

    where: Tensor
    """<float32 or wider>[B or 1, 2, L and up to a multiple of 128]: where tokens stand, padding nowhere, and what it
    costs to look at them, 0 or -MASKED."""
    extent: Tensor | None
    """<int32>[B, 2], the first unpadded token and one past the last; None if nothing is padded."""
