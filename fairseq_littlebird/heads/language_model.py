"""The masked-language-model head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.layer_norm import LayerNorm


class LanguageModelHead(nn.Module):
    """Logits of tokens from hidden states, through a dense layer and the (tied) token embeddings.

    Args:
        embed_dim: C.
        vocab_size: V.
        word_embed_dim: E, width of the token embeddings; 0: C.
        layer_norm_eps: what the norm adds to the variance.
        activation: ``gelu``; ``gelu_tanh``, its approximation; or ``relu``.
        bias: whether the dense layer and the norm have biases; the output always has.
    """

    def __init__(
        self,
        embed_dim: int,
        vocab_size: int,
        word_embed_dim: int = 0,
        layer_norm_eps: float = 1e-5,
        activation: str = "gelu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        E = word_embed_dim or embed_dim
        self.dense = nn.Linear(embed_dim, E, bias)
        self.norm = LayerNorm(E, layer_norm_eps, bias=bias)
        self.activation = activation
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden: Tensor, embedding: Tensor, masked_tokens: Tensor | None = None) -> Tensor:
        """
        Args:
            hidden: <float>[B, L, C].
            embedding: the encoder's token embeddings <float>[V, E].
            masked_tokens: <bool>[B, L], or <int64>[N] of the [B · L]; scores these N tokens alone, which saves most of
                the time and memory.
        Returns:
            logits <float>[N, V], or [B, L, V] without ``masked_tokens``.
        """
        if masked_tokens is not None and masked_tokens.dtype == torch.bool:
            hidden = hidden[masked_tokens]
        elif masked_tokens is not None:
            hidden = hidden.flatten(0, 1).index_select(0, masked_tokens)
        hidden = self.dense(hidden)
        if self.activation == "relu":
            hidden = F.relu(hidden)
        else:
            hidden = F.gelu(hidden, approximate="tanh" if self.activation == "gelu_tanh" else "none")
        return F.linear(self.norm(hidden), embedding, self.bias)
