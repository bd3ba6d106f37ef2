"""Where the tokens of a batch stand, as kernels read it.

Legend: B batch, L tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.littlebird.kernels.common import NOWHERE, WHOLE
from fairseq_littlebird.attention.littlebird.token_places import TokenPlaces


def places(like: Tensor, positions: Tensor | None, padding_mask: Tensor | None) -> TokenPlaces:
    """
    Args:
        like: <float>[…, L, D], for its length, device and type.
        positions: <integer>[B, L], or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
    """
    L = like.shape[-2]
    index = torch.arange(L, device=like.device)[None]
    where = (index if positions is None else positions).to(torch.promote_types(like.dtype, torch.float32))
    extent = None
    if padding_mask is not None:
        first = index.masked_fill(padding_mask, L).amin(dim=1)
        end = (index + 1).masked_fill(padding_mask, 0).amax(dim=1)
        where, extent = where.masked_fill(padding_mask, NOWHERE.value), torch.stack([first, end], dim=1).int()
    where = F.pad(where, (0, -L % WHOLE.value), value=NOWHERE.value)
    cost = torch.where(where >= NOWHERE.value, -MASKED, 0.0).to(where)
    return TokenPlaces(torch.stack([where, cost], dim=1), extent)
