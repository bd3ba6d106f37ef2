"""The LittleBird encoder: embeddings, then layers that hand on X and P.

Legend: B batch, L tokens, S pack size, C hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fairseq_littlebird.attention.internals import LittleBirdRouting
from fairseq_littlebird.attention.littlebird import window_features
from fairseq_littlebird.modules.attention.context import Layout
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.embeddings import Embeddings
from fairseq_littlebird.modules.left_padding import refuse_left_padding
from fairseq_littlebird.modules.littlebird_layer import LittleBirdLayer
from fairseq_littlebird.modules.unpadding import rows_of


class LittleBirdEncoder(nn.Module):
    """Token ids to hidden states, in time and memory linear in L; any L ≥ 1 (section 3).

    Args:
        config: sizes and switches.
    """

    def __init__(self, config: LittleBirdConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        # P of the first layer: learned (section 3.3)
        self.pack = nn.Parameter(torch.empty(config.pack_size, config.embed_dim)) if config.pack_size else None
        self.layers = nn.ModuleList(LittleBirdLayer(config, last=n == config.layers - 1) for n in range(config.layers))
        reset_linear(self)
        self.embeddings.reset_parameters()
        if self.pack is not None:
            nn.init.normal_(self.pack)  # as large as the layer norms' outputs it stands beside

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        padding_mask: Tensor | None = None,
        states: list[Tensor] | None = None,
        routing: list[LittleBirdRouting] | None = None,
        context_starts: Tensor | None = None,
    ) -> Tensor:
        """
        Args:
            tokens: <integer>[B, L].
            positions: position ids <integer>[B, L], non-decreasing along L, or None for 0 … L-1; gaps are virtual
                padding (section 3.4).
            padding_mask: <bool>[B, L], True = padding, never before a sequence's first token; None takes
                ``tokens == padding_idx``.
            states: a list to add the embeddings and every layer's output to, each <float>[B, L, C].
            routing: a list to add to what decides where each layer attends.
            context_starts: <int64>[B], where the context begins after the question, or None; see :class:`Embeddings`.
        Returns:
            the last layer's output <float>[B, L, C]; what stands at padding is undefined.
        Raises:
            ValueError: learned positions, and an id past their table; or padding on the left.
        """
        if padding_mask is None:
            padding_mask = tokens.eq(self.config.padding_idx)
        x = self.embeddings(tokens, positions, context_starts)
        p = x.new_zeros(0, x.shape[-1]) if self.pack is None else self.pack.to(x.dtype)
        p = p.expand(tokens.shape[0], -1, -1)  # len() would be a number to torch.export
        layout = self.layout(x, positions, padding_mask)
        if states is not None:
            states.append(x)
        x = layout.rows.take(x)
        for layer in self.layers:
            if self.training and self.config.layerdrop and torch.rand(()) < self.config.layerdrop:
                continue
            if self.training and self.config.checkpoint_activations:
                x, p, decided = checkpoint(layer, x, p, layout, routing is not None, use_reentrant=False)
            else:
                x, p, decided = layer(x, p, layout, routing is not None)
            if states is not None:
                states.append(layout.rows.put(x))
            if routing is not None:
                routing.append(decided)
        return layout.rows.put(x)

    def layout(self, x: Tensor, positions: Tensor | None, padding_mask: Tensor) -> Layout:
        """What the layers share; arguments as :meth:`forward`'s, x <float>[B, L, C]."""
        if not torch.compiler.is_compiling() and not padding_mask.any():
            return Layout(positions, None, self.features(x, positions, None))
        refuse_left_padding(padding_mask)
        return Layout(positions, padding_mask, self.features(x, positions, padding_mask), rows_of(padding_mask))

    def features(self, x: Tensor, positions: Tensor | None, padding_mask: Tensor | None) -> Tensor | None:
        """The bias's part of the layout, or None where the layers have no use for it."""
        config = self.config
        if not config.window:
            return None
        sizes = config.block_size, config.pack_size
        return window_features(x, positions, padding_mask, *sizes, config.attention_backend)


def reset_linear(encoder: nn.Module) -> None:
    """Normal linear weights with deviation 1/√fan-in, which keeps the size of what goes through, at any width."""
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            nn.init.zeros_(module.bias)
