"""A decoder-only Transformer with causal windows (Beltagy et al., 2020, section 4).

Legend: N sequences, n new tokens, B batch, L tokens, C hidden width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.causal_window import KeyBuffer
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.modules.attention.causal_window import CausalWindowAttention, CausalWindowContext
from fairseq_littlebird.modules.attention.context import checked_padding
from fairseq_littlebird.modules.config.causal_window import CausalWindowConfig
from fairseq_littlebird.modules.embeddings import Embeddings, ScaledEmbeddings
from fairseq_littlebird.modules.encoder import OneStreamEncoder
from fairseq_littlebird.modules.encoder_layer import encoder_layers
from fairseq_littlebird.modules.token_annotations import TokenAnnotations


class DecodingState:
    """What tokens that follow need of those before: the keys in reach of the windows, whatever was read so far.

    Args:
        buffers: of each layer, empty.
    """

    def __init__(self, buffers: list[KeyBuffer]) -> None:
        self.buffers = buffers

    @property
    def count(self) -> int:
        """Tokens so far."""
        return self.buffers[0].count if self.buffers else 0

    def reorder(self, order: Tensor) -> None:
        """Goes on with the sequences <int64>[N'], of which one may be named several times."""
        for buffer in self.buffers:
            buffer.reorder(order)


class CausalWindowDecoder(OneStreamEncoder[CausalWindowContext, FullAttentionInternals]):
    """Token ids to hidden states, each made of the token and of those before it, in time and memory linear in L.

    Norms before attention and feed forward, one at the end, embeddings times √C.

    Args:
        config: sizes.
    """

    def __init__(self, config: CausalWindowConfig) -> None:
        super().__init__(config, encoder_layers(config, lambda number: CausalWindowAttention(config, number), "pre"))
        self.final_norm = nn.LayerNorm(config.embed_dim, config.layer_norm_eps)

    def build_embeddings(self, config: Any) -> Embeddings:
        return ScaledEmbeddings(config)

    def attention_context(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor, annotations: TokenAnnotations
    ) -> CausalWindowContext:
        return CausalWindowContext(*checked_padding(padding_mask))

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        """As :meth:`Encoder.forward`; what ``states`` gets is not yet normalised."""
        normed: Tensor = self.final_norm(super().forward(*inputs, **options))
        return normed

    def decoding_state(self) -> DecodingState:
        """What :meth:`extend` starts with."""
        return DecodingState([m.buffer() for m in self.modules() if isinstance(m, CausalWindowAttention)])

    def extend(self, tokens: Tensor, state: DecodingState) -> Tensor:
        """Goes on with the sequences of ``state``, in memory that does not depend on how long they are.

        Args:
            tokens: <integer>[N, n], n ≥ 1, without padding.
            state: of the tokens before; these are added to it.
        Returns:
            <float>[N, n, C], what :meth:`forward` over all tokens gives the last n.
        Raises:
            InputError: a position past the learned ones.
        """
        check_length(tokens.shape[1])
        positions = torch.arange(state.count, state.count + tokens.shape[1], device=tokens.device)
        x = self.embeddings(tokens, positions.expand_as(tokens))
        normed: Tensor = self.final_norm(self.layers(x, CausalWindowContext(buffers=state.buffers)))
        return normed
