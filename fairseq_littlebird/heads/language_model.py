"""The masked-language-model head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LanguageModelHead(nn.Module):
    """Words from hidden states, through a dense layer and the (tied) word embeddings.

    Args:
        embed_dim: C.
        vocab_size: V.
    """

    def __init__(self, embed_dim: int, vocab_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(embed_dim, embed_dim)
        self.norm = nn.LayerNorm(embed_dim)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden: Tensor, embedding: Tensor, masked_tokens: Tensor | None = None) -> Tensor:
        """
        Args:
            hidden: <float>[B, L, C].
            embedding: the encoder's word embeddings <float>[V, C].
            masked_tokens: <bool>[B, L]; scores these N tokens alone, which saves most of the time and memory.
        Returns:
            logits <float>[N, V], or [B, L, V] without ``masked_tokens``.
        """
        if masked_tokens is not None:
            hidden = hidden[masked_tokens]
        return F.linear(self.norm(F.gelu(self.dense(hidden))), embedding, self.bias)
