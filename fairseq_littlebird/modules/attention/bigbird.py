"""BigBird-ITC's attention as a module (Zaheer et al., 2020, appendix D).

Legend: B batch, L tokens, H heads, D head width, n blocks, R random blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fairseq_littlebird.attention.bigbird import bigbird_attention
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.self_attention import SelfAttention
from fairseq_littlebird.modules.config.bigbird import BigBirdConfig


@dataclass(frozen=True, kw_only=True)
class BigBirdContext(AttentionContext):
    """What all layers share of a batch."""

    random_blocks: Tensor  # <int64>[layers, B or 1, H, n, R], -1: none


class BigBirdAttention(SelfAttention[BigBirdContext]):
    """Of full attention's parameters.

    Args:
        config: sizes.
        layer: the number of its layer from 0, which has random blocks of its own.
        bias: see :class:`SelfAttention`.
    """

    def __init__(self, config: BigBirdConfig, layer: int, bias: bool | None = None) -> None:
        super().__init__(config, bias)
        self.block_size, self.global_blocks, self.layer = config.block_size, config.global_blocks, layer

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, context: BigBirdContext) -> Tensor:
        blocks = context.random_blocks[self.layer]
        return bigbird_attention(
            q, k, v, context.padding_mask, self.block_size, blocks, self.dropout_p(), self.global_blocks
        )
