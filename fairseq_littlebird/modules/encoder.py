"""The LittleBird encoder: embeddings, then layers that hand on X and P.

Legend: B batch, L tokens, S pack size, C hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fairseq_littlebird.attention.routing import LittleBirdRouting
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.embeddings import Embeddings
from fairseq_littlebird.modules.littlebird_layer import LittleBirdLayer


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
        routing: list[LittleBirdRouting] | None = None,
    ) -> list[Tensor]:
        """
        Args:
            tokens: <integer>[B, L].
            positions: position ids <integer>[B, L], non-decreasing along L, or None for 0 … L-1; gaps are virtual
                padding (section 3.4).
            padding_mask: <bool>[B, L], True = padding; None takes ``tokens == padding_idx``.
            routing: a list to add to what decides where each layer attends.
        Returns:
            the embeddings and every layer's output, each <float>[B, L, C]; what stands at padding is undefined.
        Raises:
            ValueError: learned positions, and an id past their table.
        """
        if padding_mask is None:
            padding_mask = tokens.eq(self.config.padding_idx)
        x = self.embeddings(tokens, positions)
        p = x.new_zeros(0, x.shape[-1]) if self.pack is None else self.pack.to(x.dtype)
        p = p.expand(len(tokens), -1, -1)
        states = [x]
        for layer in self.layers:
            if self.training and self.config.layerdrop and torch.rand(()) < self.config.layerdrop:
                continue
            if self.training and self.config.checkpoint_activations:
                x, p, decided = checkpoint(layer, x, p, positions, padding_mask, use_reentrant=False)
            else:
                x, p, decided = layer(x, p, positions, padding_mask)
            states.append(x)
            if routing is not None:
                routing.append(decided)
        return states


def reset_linear(encoder: nn.Module) -> None:
    """Normal linear weights with deviation 1/√fan-in, which keeps the size of what goes through, at any width."""
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            nn.init.zeros_(module.bias)
