"""The full-attention encoder: BERT and RoBERTa."""

from __future__ import annotations

from torch import Tensor

from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.modules.attention.context import AttentionContext, checked_padding
from fairseq_littlebird.modules.attention.full import FullAttention
from fairseq_littlebird.modules.config.encoder import EncoderConfig
from fairseq_littlebird.modules.encoder import OneStreamEncoder
from fairseq_littlebird.modules.encoder_layer import encoder_layers
from fairseq_littlebird.modules.token_annotations import TokenAnnotations


class FullAttentionEncoder(OneStreamEncoder[AttentionContext, FullAttentionInternals]):
    """Token ids to hidden states in time quadratic in L, L up to ``config.max_positions``.

    Args:
        config: sizes.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config, encoder_layers(config, lambda _: FullAttention(config)))

    def attention_context(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor, annotations: TokenAnnotations
    ) -> AttentionContext:
        return AttentionContext(*checked_padding(padding_mask, annotations))
