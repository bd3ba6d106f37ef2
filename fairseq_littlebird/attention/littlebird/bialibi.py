"""Bidirectional attention with linear biases (section 3.1).

    D[i, j] = 0                   i = j
              α                   i = 0 or j = 0, i ≠ j
              β (p_i - p_j)       keys to the left
              γ (p_j - p_i)       keys to the right
    D_P     = (β + γ) / 2 · b     pack vectors

i, j are token indices, p position ids, b the block size. D is subtracted from the scaled scores.
Legend: B batch, L tokens, S pack size, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.common.alibi_slopes import alibi_slopes


class BiALiBi(nn.Module):
    """The learned slopes of one layer: ``alpha``, ``beta``, ``gamma``, each <float>[H], free in sign.

    β and γ start at ALiBi's slopes, α at 0: a new layer sees the first token without a penalty.

    Args:
        num_heads: H.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        slopes = torch.tensor(alibi_slopes(num_heads))
        self.alpha = nn.Parameter(torch.zeros(num_heads))
        self.beta = nn.Parameter(slopes.clone())
        self.gamma = nn.Parameter(slopes.clone())

    def forward(self, positions: Tensor) -> Tensor:
        """The whole distance matrix D, for the reference path and for plots: quadratic in L.

        Args:
            positions: <integer>[B, L], non-decreasing.
        Returns:
            <float32 or wider>[B, H, L, L]
        """
        left, right = distances(positions, positions, self.beta.dtype)  # [B, L, L]
        index = torch.arange(positions.shape[1], device=positions.device)
        to_first = (index[:, None] == 0) ^ (index[None, :] == 0)  # [L, L]
        alpha, beta, gamma = (slope.view(-1, 1, 1) for slope in self.coefficients())
        linear = beta * left[:, None] + gamma * right[:, None]
        return torch.where(to_first, alpha, linear)

    def pack_distance(self, block_size: int) -> Tensor:
        """D_P, the same for every pack vector: (β + γ) / 2 · b. Returns <float>[H]."""
        _, beta, gamma = self.coefficients()
        return (beta + gamma) / 2 * block_size

    def coefficients(self) -> tuple[Tensor, Tensor, Tensor]:
        """α, β, γ <float>[H] in float32 at least: half precision cannot count past 2048 (256 in bf16)."""
        return tuple(s.float() if s.dtype.itemsize < 4 else s for s in (self.alpha, self.beta, self.gamma))  # type: ignore[return-value]


def distances(query_positions: Tensor, key_positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """How far each key stands to the left and to the right of each query, 0 on the other side.

    Args:
        query_positions: <integer or float>[..., Q].
        key_positions: <integer or float>[..., K].
        dtype: a floating type; half types are widened to float32.
    Returns:
        two <float>[..., Q, K].
    """
    if dtype.itemsize < 4:
        dtype = torch.float32
    offset = (query_positions.unsqueeze(-1) - key_positions.unsqueeze(-2)).to(dtype)
    return offset.clamp(min=0), (-offset).clamp(min=0)
