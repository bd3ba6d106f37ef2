"""Where the tokens of a batch stand, as kernels read it.

Legend: B batch, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.littlebird.kernels.common import NOWHERE


def places(q: Tensor, positions: Tensor | None, padding_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Where tokens stand, <float32 or wider>[B or 1, L], padding nowhere; and what is not padding, <int32>[B, 2].

    The latter is the first unpadded token and one past the last, None if nothing is padded.

    Args:
        q: <float>[B, H, L, D], for its length, device and type.
        positions: <integer>[B, L], or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
    """
    index = torch.arange(q.shape[2], device=q.device)[None]
    where = (index if positions is None else positions).to(torch.promote_types(q.dtype, torch.float32))
    if padding_mask is None:
        return where.contiguous(), None
    first = index.masked_fill(padding_mask, q.shape[2]).amin(dim=1)
    end = (index + 1).masked_fill(padding_mask, 0).amax(dim=1)
    return where.masked_fill(padding_mask, NOWHERE.value), torch.stack([first, end], dim=1).int()
