"""Embeddings, then Transformer layers: full attention as it stands, sparse attention by other layers.

Legend: B batch, L tokens, C hidden width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fairseq_littlebird.attention.internals import FullRouting
from fairseq_littlebird.modules.attention.context import Layout
from fairseq_littlebird.modules.config import EncoderConfig
from fairseq_littlebird.modules.embeddings import Embeddings
from fairseq_littlebird.modules.encoder_layer import TransformerLayer
from fairseq_littlebird.modules.left_padding import refuse_left_padding
from fairseq_littlebird.modules.littlebird_encoder import reset_linear
from fairseq_littlebird.modules.unpadding import rows_of


class TransformerEncoder(nn.Module):
    """Token ids to hidden states; L up to ``config.max_positions``. BERT and RoBERTa, in time quadratic in L.

    Args:
        config: sizes.
    """

    layer_class: type[TransformerLayer] = TransformerLayer

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(self.layer_class(config, n) for n in range(config.layers))
        reset_linear(self)
        self.embeddings.reset_parameters()

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        padding_mask: Tensor | None = None,
        states: list[Tensor] | None = None,
        routing: list[FullRouting] | None = None,
        context_starts: Tensor | None = None,
        **roles: Any,
    ) -> Tensor:
        """
        Args:
            tokens: <integer>[B, L].
            positions: <integer>[B, L], or None for 0 … L-1.
            padding_mask: <bool>[B, L], True = padding, never before a sequence's first token; None takes
                ``tokens == padding_idx``.
            states: a list to add the embeddings and every layer's output to, each <float>[B, L, C].
            routing: a list to add each layer's queries and keys to.
            context_starts: <int64>[B], where the context begins after the question, or None; see :class:`Embeddings`.
            roles: what else :meth:`layout` takes.
        Returns:
            the last layer's output <float>[B, L, C]; what stands at padding is undefined.
        Raises:
            ValueError: a position past the learned ones, or padding on the left.
        """
        if padding_mask is None:
            padding_mask = tokens.eq(self.config.padding_idx)
        x = self.embeddings(tokens, positions, context_starts)
        layout = self.layout(padding_mask, **roles)
        return self.transform(x, layout, states, routing)

    def transform(
        self, x: Tensor, layout: Any, states: list[Tensor] | None, routing: list[FullRouting] | None
    ) -> Tensor:
        """x <float>[B, L, C] through all layers, in its shape; the lists are :meth:`forward`'s."""
        if states is not None:
            states.append(x)
        x = layout.rows.take(x)
        for layer in self.layers:
            if self.training and self.config.layerdrop and torch.rand(()) < self.config.layerdrop:
                continue
            if self.training and self.config.checkpoint_activations:
                x, decided = checkpoint(layer, x, layout, use_reentrant=False)
            else:
                x, decided = layer(x, layout)
            if states is not None:
                states.append(layout.rows.put(x))
            if routing is not None:
                routing.append(decided)
        return layout.rows.put(x)

    def layout(self, padding_mask: Tensor) -> Any:
        """What the layers share of a batch, made of its padding mask <bool>[B, L]."""
        if not torch.compiler.is_compiling() and not padding_mask.any():
            return Layout()
        refuse_left_padding(padding_mask)
        return Layout(padding_mask=padding_mask, rows=rows_of(padding_mask))
