"""A decoder-only Transformer with causal windows (Beltagy et al., 2020, section 4).

Legend: B batch, L tokens, H heads, C hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_window import KeyBuffer
from fairseq_littlebird.attention.common.alibi_slopes import alibi_slopes
from fairseq_littlebird.modules.attention.causal_window import CausalWindowAttention, CausalWindowContext
from fairseq_littlebird.modules.attention.context import checked_padding
from fairseq_littlebird.modules.causal_decoder import CausalDecoder, DecodingState
from fairseq_littlebird.modules.config.causal_window import CausalWindowConfig
from fairseq_littlebird.modules.token_annotations import TokenAnnotations


class CausalWindowDecoder(CausalDecoder[CausalWindowContext]):
    """Longformer's language model.

    Args:
        config: sizes.
    """

    config: CausalWindowConfig

    def __init__(self, config: CausalWindowConfig) -> None:
        super().__init__(config, lambda number: CausalWindowAttention(config, number))

    def attention_context(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor, annotations: TokenAnnotations
    ) -> CausalWindowContext:
        return CausalWindowContext(*checked_padding(padding_mask, annotations), slopes=self.slopes(x))

    def decoding_context(self, x: Tensor, state: DecodingState[KeyBuffer]) -> CausalWindowContext:
        return CausalWindowContext(buffers=state.buffers, slopes=self.slopes(x))

    def slopes(self, x: Tensor) -> Tensor | None:
        """ALiBi's <float32 or wider>[H] where x <float>[B, L, C] is; None for positions of another kind."""
        if self.config.positions != "alibi":
            return None
        wide = torch.promote_types(x.dtype, torch.float32)
        return torch.tensor(alibi_slopes(self.config.heads), dtype=wide).to(x.device, non_blocking=True)
