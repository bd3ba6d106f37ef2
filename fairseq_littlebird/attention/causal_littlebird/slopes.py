"""What is left of BiALiBi (section 3.1) where nothing to the right is seen.

    D[i, j] = 0              i = j
              α              j = 0 < i
              β (i - j)      other keys to the left

D is subtracted from the scaled scores. As in BiALiBi the first token has a slope of its own: it is
the one token that may be seen from anywhere at the same cost.
Legend: L tokens, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.common.alibi_slopes import alibi_slopes


class CausalBiALiBi(nn.Module):
    """The learned slopes of one layer: ``alpha`` and ``beta``, each <float>[H], free in sign.

    β starts at ALiBi's slopes, α at 0.

    Args:
        num_heads: H.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(num_heads))
        self.beta = nn.Parameter(torch.tensor(alibi_slopes(num_heads)))

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """D of some queries and keys.

        Args:
            queries, keys: <integer>[Q] and <integer>[K], numbers of tokens from 0.
        Returns:
            <float32 or wider>[H, Q, K]; of no meaning for keys to the right.
        """
        alpha, beta = (slope.view(-1, 1, 1) for slope in self.coefficients())
        distances = queries[:, None] - keys
        linear = beta * distances.to(beta.dtype)
        return torch.where((keys == 0) & (distances > 0), alpha, linear)

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """α, β <float>[H] in float32 at least: half precision cannot count past 2048 (256 in bf16)."""
        return tuple(s.float() if s.dtype.itemsize < 4 else s for s in (self.alpha, self.beta))  # type: ignore[return-value]
