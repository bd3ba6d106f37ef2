"""The sequence-classification head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ClassificationHead(nn.Module):
    """A class for the sequence from the first token's representation, through one tanh layer.

    Args:
        embed_dim: C.
        inner_dim: width of the tanh layer.
        num_classes: K.
        dropout: probability, before both layers.
    """

    def __init__(self, embed_dim: int, inner_dim: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dense = nn.Linear(embed_dim, inner_dim)
        self.out_proj = nn.Linear(inner_dim, num_classes)
        self.dropout = dropout

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden <float>[B, L, C] to logits <float>[B, K]."""
        x = F.dropout(hidden[:, 0], self.dropout, self.training)
        x = torch.tanh(self.dense(x))
        return self.out_proj(F.dropout(x, self.dropout, self.training))
