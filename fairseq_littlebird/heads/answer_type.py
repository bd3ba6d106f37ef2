"""The kind of an answer, such as yes, no or a span (appendix A.2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class AnswerTypeHead(nn.Module):
    """A double layer over the first token's representation: W_2 gelu(W_1 h_0).

    Args:
        embed_dim: C.
        kinds: K.
    """

    def __init__(self, embed_dim: int, kinds: int) -> None:
        super().__init__()
        self.dense = nn.Linear(embed_dim, embed_dim)
        self.out_proj = nn.Linear(embed_dim, kinds)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden <float>[B, L, C] to logits <float>[B, K]."""
        return self.out_proj(F.gelu(self.dense(hidden[:, 0])))
