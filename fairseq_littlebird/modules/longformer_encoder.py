"""The Longformer encoder (Beltagy et al., 2020): a sliding window in each layer, and some tokens that are global.

Legend: B batch, L tokens, G global tokens of the row with the most, H heads, C hidden width, D head width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.longformer import global_index, longformer_attention
from fairseq_littlebird.modules.attention.heads import split_heads
from fairseq_littlebird.modules.config import LongformerConfig
from fairseq_littlebird.modules.encoder import TransformerEncoder
from fairseq_littlebird.modules.encoder_layer import TransformerLayer
from fairseq_littlebird.modules.unpadding import PaddedRows, UnpaddedRows


class LongformerLayout(NamedTuple):
    """What all layers share of a batch."""

    padding_mask: Tensor | None  # <bool>[B, L], True = padding
    rows: PaddedRows | UnpaddedRows  # which rows of X are computed with
    global_tokens: Tensor | None  # <bool>[B, L]
    global_index: Tensor  # <int64>[B, G], where they stand


class LongformerLayer(TransformerLayer):
    """A Transformer layer that attends to a window and to global tokens; these attend to all, by other projections.

    Args:
        config: sizes.
        number: of the layer, which decides its window.
    """

    config: LongformerConfig

    def __init__(self, config: LongformerConfig, number: int = 0) -> None:
        super().__init__(config, number)
        C = config.embed_dim
        self.global_q, self.global_k, self.global_v = (nn.Linear(C, C) for _ in range(3))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, layout: LongformerLayout) -> Tensor:
        """Arguments and result as :meth:`TransformerLayer.attend`'s, <float>[B, H, L, D]."""
        config, index, x = self.config, layout.global_index, layout.rows.put(x)
        apart = x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))  # [B, G, C]
        # nobody reads all tokens' where none is global; the empty ones still give the parameters a gradient, 0
        everything = x if index.shape[1] else x[:, :0]
        global_q, global_k, global_v = (
            split_heads(project(of), config.heads)
            for project, of in ((self.global_q, apart), (self.global_k, everything), (self.global_v, everything))
        )
        where = layout.global_tokens, layout.padding_mask, config.attention_window[self.number], config.dilations
        return longformer_attention(q, k, v, global_q, global_k, global_v, *where, self.attention_dropout())


class LongformerEncoder(TransformerEncoder):
    """Token ids to hidden states, in time and memory linear in L for a given number of global tokens.

    The global projections start as copies of the layer's others (section 3.1).

    Args:
        config: sizes.
    """

    layer_class = LongformerLayer

    def __init__(self, config: LongformerConfig) -> None:
        super().__init__(config)
        for layer in self.layers:
            for name in ("q", "k", "v"):
                getattr(layer, f"global_{name}").load_state_dict(getattr(layer, name).state_dict())

    def layout(self, padding_mask: Tensor, global_tokens: Tensor | None = None) -> LongformerLayout:
        """What the layers share of a batch.

        Args:
            padding_mask: <bool>[B, L], True = padding.
            global_tokens: <bool>[B, L], or None for none; padding among them is read by none, as ever.
        """
        shared = super().layout(padding_mask)
        if global_tokens is None:
            index = torch.zeros(len(padding_mask), 0, dtype=torch.int64, device=padding_mask.device)
        else:
            index = global_index(global_tokens, int(global_tokens.sum(dim=1).max()))
        return LongformerLayout(shared.padding_mask, shared.rows, global_tokens, index)
