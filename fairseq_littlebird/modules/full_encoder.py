"""The full-attention encoder of BERT and RoBERTa: the teacher, and the quadratic row of every comparison.

Legend: B batch, L tokens, C hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fairseq_littlebird.attention.routing import FullRouting
from fairseq_littlebird.modules.config import FullAttentionConfig
from fairseq_littlebird.modules.embeddings import Embeddings
from fairseq_littlebird.modules.encoder import reset_linear
from fairseq_littlebird.modules.transformer_layer import TransformerLayer


class FullAttentionEncoder(nn.Module):
    """Token ids to hidden states, in time quadratic in L; L up to ``config.max_positions``.

    Args:
        config: sizes.
    """

    def __init__(self, config: FullAttentionConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.layers))
        reset_linear(self)
        self.embeddings.reset_parameters()

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        padding_mask: Tensor | None = None,
        states: list[Tensor] | None = None,
        routing: list[FullRouting] | None = None,
    ) -> Tensor:
        """
        Args:
            tokens: <integer>[B, L].
            positions: <integer>[B, L], or None for 0 … L-1.
            padding_mask: <bool>[B, L], True = padding; None takes ``tokens == padding_idx``.
            states: a list to add the embeddings and every layer's output to, each <float>[B, L, C].
            routing: a list to add each layer's queries and keys to.
        Returns:
            the last layer's output <float>[B, L, C]; what stands at padding is undefined.
        Raises:
            ValueError: a position past the learned ones.
        """
        if padding_mask is None:
            padding_mask = tokens.eq(self.config.padding_idx)
        x = self.embeddings(tokens, positions)
        if states is not None:
            states.append(x)
        for layer in self.layers:
            if self.training and self.config.layerdrop and torch.rand(()) < self.config.layerdrop:
                continue
            if self.training and self.config.checkpoint_activations:
                x, decided = checkpoint(layer, x, padding_mask, use_reentrant=False)
            else:
                x, decided = layer(x, padding_mask)
            if states is not None:
                states.append(x)
            if routing is not None:
                routing.append(decided)
        return x
