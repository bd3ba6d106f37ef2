"""One layer of ETC: a Transformer layer whose tokens are the global ones, then the long ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.etc import etc_attention
from fairseq_littlebird.modules.config import ETCConfig
from fairseq_littlebird.modules.encoder_layer import TransformerLayer
from fairseq_littlebird.modules.unpadding import PaddedRows, UnpaddedRows


class ETCLayout(NamedTuple):
    """What all layers share of a batch."""

    owner: Tensor  # <int64>[B, L], the global token that each long one belongs to
    padding_mask: Tensor  # <bool>[B, G + L], True = padding, or a global token that none belongs to
    rows: PaddedRows | UnpaddedRows  # which rows of [Y ; X] are computed with


class ETCLayer(TransformerLayer):
    """A = LayerNorm(Attn(Z, Z) + Z), Z' = LayerNorm(FFN(A) + A) with Z = [Y ; X].

    Both kinds of tokens share all weights, which ETC has as an option and which lets RoBERTa's serve; what tells them
    apart is whom they see, and ``relative`` <float>[H, 2, 2k + 3, D]: a vector for each label of a query and a key,
    see :func:`dense_etc_attention`.

    Args:
        config: sizes.
        number: of the layer, from 0.
    """

    config: ETCConfig

    def __init__(self, config: ETCConfig, number: int = 0) -> None:
        super().__init__(config, number)
        labels = 2 * config.max_distance + 3
        self.relative = nn.Parameter(torch.empty(config.heads, 2, labels, config.embed_dim // config.heads))
        nn.init.normal_(self.relative, std=0.02)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, layout: Any) -> Tensor:
        where = layout.owner, layout.padding_mask, self.config.local_radius
        return etc_attention(q, k, v, self.relative, *where, self.attention_dropout())
