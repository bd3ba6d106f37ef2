"""A decoder-only Transformer with LittleBird's window to the left and its global block.

Legend: B batch, L tokens, C hidden width.
"""

from __future__ import annotations

from torch import Tensor

from fairseq_littlebird.attention.causal_littlebird import TokenBuffer
from fairseq_littlebird.modules.attention.causal_littlebird import CausalLittleBirdAttention, CausalLittleBirdContext
from fairseq_littlebird.modules.attention.context import checked_padding
from fairseq_littlebird.modules.causal_decoder import CausalDecoder, DecodingState
from fairseq_littlebird.modules.config.causal_littlebird import CausalLittleBirdConfig
from fairseq_littlebird.modules.token_annotations import TokenAnnotations


class CausalLittleBirdDecoder(CausalDecoder[CausalLittleBirdContext]):
    """LittleBird's language model; its positions are the slopes alone.

    Args:
        config: sizes.
    """

    config: CausalLittleBirdConfig

    def __init__(self, config: CausalLittleBirdConfig) -> None:
        super().__init__(config, lambda number: CausalLittleBirdAttention(config, number))

    def attention_context(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor, annotations: TokenAnnotations
    ) -> CausalLittleBirdContext:
        return CausalLittleBirdContext(*checked_padding(padding_mask, annotations))

    def decoding_context(self, x: Tensor, state: DecodingState[TokenBuffer]) -> CausalLittleBirdContext:
        return CausalLittleBirdContext(buffers=state.buffers)
