"""Linear biases of causal windows (ALiBi; Press et al., 2021).

Legend: H heads, R = 1 + the largest window, d dilation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def alibi_bias(slopes: Tensor, windows: Sequence[int], dilations: Sequence[int]) -> Tensor:
    """What the scores of the keys 0, d, …, w·d tokens back get: minus the slope times the distance.

    Args:
        slopes: <float>[H].
        windows, dilations: w and d of each head.
    Returns:
        <float32 or wider>[1, H, 1, R], as :func:`causal_window_attention` takes it; half types cannot count so far.
    """
    wide = torch.promote_types(slopes.dtype, torch.float32)
    steps = torch.arange(max(windows) + 1, device=slopes.device, dtype=wide)
    distances = steps * torch.tensor(dilations, device=slopes.device, dtype=wide)[:, None]  # [H, R]
    return -(slopes.to(wide)[:, None] * distances)[None, :, None]
