"""The head of next-sentence prediction."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NextSentenceHead(nn.Module):
    """Whether the second sequence follows the first, from the first token's representation (Devlin et al., 2019).

    Args:
        embed_dim: C.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.dense = nn.Linear(embed_dim, embed_dim)
        self.out_proj = nn.Linear(embed_dim, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden <float>[B, L, C] to logits <float>[B, 2]; the second one says that it follows."""
        return self.out_proj(torch.tanh(self.dense(hidden[:, 0])))
