"""Full attention: every token sees every unpadded one (Vaswani et al., 2017)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.masked_softmax import fused_masked_attention
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.self_attention import SelfAttention


class FullAttention(SelfAttention[AttentionContext]):
    """Time and memory are quadratic in L; see :class:`SelfAttention`."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, context: AttentionContext) -> Tensor:
        if context.padding_mask is None:
            return F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout_p())
        return fused_masked_attention(q, k, v, ~context.padding_mask[:, None, None], self.dropout_p())
