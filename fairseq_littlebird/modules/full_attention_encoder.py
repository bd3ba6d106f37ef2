"""The full-attention encoder: BERT and RoBERTa; with rotary positions and local layers, ModernBERT.

Legend: B batch, L tokens, C hidden width.
"""

from __future__ import annotations

from torch import Tensor, nn

from fairseq_littlebird.attention.common.rotary import Rotation, rotation
from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.modules.attention.context import checked_padding
from fairseq_littlebird.modules.attention.full import FullAttention, FullAttentionContext
from fairseq_littlebird.modules.config.full_attention import FullAttentionConfig
from fairseq_littlebird.modules.encoder import OneStreamEncoder
from fairseq_littlebird.modules.encoder_layer import encoder_layers
from fairseq_littlebird.modules.token_annotations import TokenAnnotations


class FullAttentionEncoder(OneStreamEncoder[FullAttentionContext, FullAttentionInternals]):
    """Token ids to hidden states in time quadratic in L, L up to ``config.max_positions`` where these are learned.

    Args:
        config: sizes and switches.
    """

    config: FullAttentionConfig

    def __init__(self, config: FullAttentionConfig) -> None:
        def attention(number: int) -> nn.Module:
            theta = config.theta(number) if config.positions == "rotary" else None
            return FullAttention(config, window=config.window(number), theta=theta)

        super().__init__(config, encoder_layers(config, attention))

    def attention_context(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor, annotations: TokenAnnotations
    ) -> FullAttentionContext:
        config = self.config
        rotations: dict[float, Rotation] = {}
        if config.positions == "rotary":
            head_width = config.embed_dim // config.heads
            bases = {config.theta(number) for number in range(config.layers)}
            rotations = {theta: rotation(x.shape[1], head_width, theta, x.device) for theta in bases}
        return FullAttentionContext(*checked_padding(padding_mask, annotations), rotations=rotations)
