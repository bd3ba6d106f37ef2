"""The LittleBird encoder: embeddings, then layers that hand on X and P.

Legend: B batch, L tokens, S pack size, C hidden width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fairseq_littlebird.modules.config import EncoderConfig
from fairseq_littlebird.modules.littlebird_layer import LittleBirdLayer


class LittleBirdEncoder(nn.Module):
    """Token ids to hidden states, in time and memory linear in L; any L ≥ 1 (section 3).

    Args:
        config: sizes and switches.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embed_dim, config.padding_idx)
        self.embed_positions = (
            nn.Embedding(config.max_positions, config.embed_dim) if config.positions == "learned" else None
        )
        self.embed_norm = nn.LayerNorm(config.embed_dim)
        # P of the first layer: learned (section 3.3)
        self.pack = nn.Parameter(torch.empty(config.pack_size, config.embed_dim)) if config.pack_size else None
        self.layers = nn.ModuleList(
            LittleBirdLayer(config, last=n == config.layers - 1) for n in range(config.layers)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal linear weights with deviation 1/√fan-in, which keeps the size of what goes through, at any width."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
                nn.init.zeros_(module.bias)
        for table in (self.embed_tokens, self.embed_positions):
            if table is not None:
                nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.embed_tokens.weight[self.config.padding_idx].zero_()
        if self.pack is not None:
            nn.init.normal_(self.pack)  # as large as the layer norms' outputs it stands beside

    def forward(
        self, tokens: Tensor, positions: Tensor | None = None, padding_mask: Tensor | None = None
    ) -> list[Tensor]:
        """
        Args:
            tokens: <integer>[B, L].
            positions: position ids <integer>[B, L], non-decreasing along L, or None for 0 … L-1; gaps are virtual
                padding (section 3.4).
            padding_mask: <bool>[B, L], True = padding; None takes ``tokens == padding_idx``.
        Returns:
            the embeddings and every layer's output, each <float>[B, L, C]; what stands at padding is undefined.
        Raises:
            ValueError: learned positions, and an id past their table.
        """
        if padding_mask is None:
            padding_mask = tokens.eq(self.config.padding_idx)
        x = self.embed(tokens, positions)
        p = x.new_zeros(0, x.shape[-1]) if self.pack is None else self.pack.to(x.dtype)
        p = p.expand(len(tokens), -1, -1)
        states = [x]
        for layer in self.layers:
            if self.training and self.config.layerdrop and torch.rand(()) < self.config.layerdrop:
                continue
            if self.training and self.config.checkpoint_activations:
                x, p = checkpoint(layer, x, p, positions, padding_mask, use_reentrant=False)
            else:
                x, p = layer(x, p, positions, padding_mask)
            states.append(x)
        return states

    def embed(self, tokens: Tensor, positions: Tensor | None) -> Tensor:
        """Word embeddings (and learned positions in that ablation), normed: <float>[B, L, C]."""
        x = self.embed_tokens(tokens)
        if self.embed_positions is not None:
            if positions is None:
                positions = torch.arange(tokens.shape[1], device=tokens.device)
            if int(positions.max()) >= self.config.max_positions:
                raise ValueError(
                    f"position {int(positions.max())} is past the {self.config.max_positions} learned ones"
                )
            x = x + self.embed_positions(positions)
        return F.dropout(self.embed_norm(x), self.config.dropout, self.training)
