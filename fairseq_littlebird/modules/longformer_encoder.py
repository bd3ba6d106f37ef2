"""The Longformer encoder (Beltagy et al., 2020): a sliding window in each layer, and some tokens that are global.

Legend: B batch, L tokens, G global tokens of the sequence with the most.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.attention.longformer import global_index
from fairseq_littlebird.modules.attention.context import checked_padding
from fairseq_littlebird.modules.attention.longformer import LongformerAttention, LongformerContext
from fairseq_littlebird.modules.config.longformer import LongformerConfig
from fairseq_littlebird.modules.encoder import OneStreamEncoder
from fairseq_littlebird.modules.encoder_layer import encoder_layers
from fairseq_littlebird.modules.token_annotations import TokenAnnotations


class LongformerEncoder(OneStreamEncoder[LongformerContext, FullAttentionInternals]):
    """Token ids to hidden states, in time and memory linear in L for a given number of global tokens.

    The annotations' ``global_tokens`` are the global ones; padding among them is ignored.

    Args:
        config: sizes.
    """

    def __init__(self, config: LongformerConfig) -> None:
        super().__init__(config, encoder_layers(config, lambda number: LongformerAttention(config, number)))
        for module in self.modules():
            if isinstance(module, LongformerAttention):
                module.copy_to_global()

    def attention_context(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor, annotations: TokenAnnotations
    ) -> LongformerContext:
        global_tokens = annotations.global_tokens
        if global_tokens is None:
            index = torch.zeros(len(padding_mask), 0, dtype=torch.int64, device=padding_mask.device)
        else:
            most = annotations.most_global
            index = global_index(global_tokens, int(global_tokens.sum(dim=1).max()) if most is None else most)
        checked = checked_padding(padding_mask, annotations)
        return LongformerContext(*checked, global_tokens=global_tokens, global_index=index)
