"""Full attention: every token sees every unpadded one (Vaswani et al., 2017), or those of a window.

Legend: B batch, L tokens, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.masked_softmax import fused_masked_attention
from fairseq_littlebird.attention.common.rotary import Rotation, rotate
from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.attention.longformer import longformer_attention
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.self_attention import SelfAttention
from fairseq_littlebird.modules.config.encoder import EncoderConfig


@dataclass(frozen=True, kw_only=True)
class FullAttentionContext(AttentionContext):
    """What all layers share of a batch."""

    rotations: Mapping[float, Rotation] = field(default_factory=dict)  # by theta


class FullAttention(SelfAttention[AttentionContext]):
    """Time and memory are quadratic in L, with a window linear; see :class:`SelfAttention`.

    Args:
        config: width, heads and dropout.
        bias: see :class:`SelfAttention`.
        window: w, even: w / 2 tokens on each side; 0 for all tokens.
        theta: base of the rotary frequencies, whose rotation the context has; None without rotary positions.
    """

    def __init__(
        self, config: EncoderConfig, bias: bool | None = None, *, window: int = 0, theta: float | None = None
    ) -> None:
        super().__init__(config, bias)
        self.window, self.theta = window, theta

    def project(self, x: Tensor, context: AttentionContext) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().project(x, context)
        if self.theta is None:
            return q, k, v
        assert isinstance(context, FullAttentionContext)
        by = context.rotations[self.theta]
        return rotate(q, by), rotate(k, by), v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, context: AttentionContext) -> Tensor:
        if self.window:
            nothing = q[:, :, :0]  # no global tokens
            where = None, context.padding_mask, self.window, (1,) * self.heads
            return longformer_attention(q, k, v, nothing, nothing, nothing, *where, self.dropout_p())
        if context.padding_mask is None:
            return F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout_p())
        return fused_masked_attention(q, k, v, ~context.padding_mask[:, None, None], self.dropout_p())

    def internals(self, q: Tensor, k: Tensor, context: AttentionContext) -> FullAttentionInternals:
        return FullAttentionInternals(q, k, self.window)
