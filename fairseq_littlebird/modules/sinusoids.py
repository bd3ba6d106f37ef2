"""Sinusoids of position ids (Vaswani et al., 2017, section 3.5).

Legend: B batch, L tokens, C hidden width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sinusoids(positions: Tensor, embed_dim: int, longest: float = 10000.0) -> Tensor:
    """sin and cos of each position, at wavelengths from 2π to almost 2π · ``longest``; any position ids, gaps included.

    Args:
        positions: <integer>[B, L].
        embed_dim: C; an odd one ends on 0.
        longest: see above.
    Returns:
        <float32>[B, L, C]: the sines, then the cosines.
    """
    half = embed_dim // 2
    rates = longest ** -(2 * torch.arange(half, device=positions.device, dtype=torch.float32) / embed_dim)
    angles = positions[..., None].float() * rates
    return F.pad(torch.cat([angles.sin(), angles.cos()], dim=-1), (0, embed_dim - 2 * half))
