"""Where the tokens of a batch stand, as kernels read it.

Legend: B batch, L tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.littlebird.kernels.common import NOWHERE, WHOLE


def places(q: Tensor, positions: Tensor | None, padding_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Where tokens stand and what it costs to look at them, and what is not padding.

    The former <float32 or wider>[B or 1, 2, L and up to a multiple of 128]: padding is nowhere and costs -MASKED. The
    latter <int32>[B, 2]: the first unpadded token and one past the last, None if nothing is padded.

    Args:
        q: <float>[B, H, L, D], for its length, device and type.
        positions: <integer>[B, L], or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
    """
    L = q.shape[2]
    index = torch.arange(L, device=q.device)[None]
    where = (index if positions is None else positions).to(torch.promote_types(q.dtype, torch.float32))
    extent = None
    if padding_mask is not None:
        first = index.masked_fill(padding_mask, L).amin(dim=1)
        end = (index + 1).masked_fill(padding_mask, 0).amax(dim=1)
        where, extent = where.masked_fill(padding_mask, NOWHERE.value), torch.stack([first, end], dim=1).int()
    where = F.pad(where, (0, -L % WHOLE.value), value=NOWHERE.value)
    return torch.stack([where, torch.where(where >= NOWHERE.value, -MASKED, 0.0).to(where)], dim=1), extent
