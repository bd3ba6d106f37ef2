"""LittleBird's attention for language models, as a module.

Legend: B batch, L tokens, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fairseq_littlebird.attention.causal_littlebird import CausalBiALiBi, TokenBuffer, causal_block_window_attention
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.self_attention import SelfAttention
from fairseq_littlebird.modules.config.causal_littlebird import CausalLittleBirdConfig


@dataclass(frozen=True, kw_only=True)
class CausalLittleBirdContext(AttentionContext):
    """What all layers share of a batch; padding is on the right, where no token sees it."""

    buffers: Sequence[TokenBuffer] | None = None  # of each layer, where the batch goes on with earlier tokens


class CausalLittleBirdAttention(SelfAttention[CausalLittleBirdContext]):
    """Each token sees the tokens so far of block 0, of the block to the left and of its own.

    Args:
        config: sizes.
        layer: the number of its layer from 0.
    """

    def __init__(self, config: CausalLittleBirdConfig, layer: int) -> None:
        super().__init__(config)
        self.layer, self.block_size = layer, config.block_size
        self.slopes = CausalBiALiBi(config.heads)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, context: CausalLittleBirdContext) -> Tensor:
        if context.buffers is not None:
            return self.extend(q, k, v, context.buffers[self.layer])
        return causal_block_window_attention(q, k, v, self.slopes, None, self.block_size, self.dropout_p())

    def extend(self, q: Tensor, k: Tensor, v: Tensor, buffer: TokenBuffer) -> Tensor:
        """:meth:`attend` of tokens that follow those of ``buffer``; all <float>[B, H, L, D]."""
        pieces = buffer.pieces(q.shape[2])
        parts = [buffer.attend(q[:, :, piece], k[:, :, piece], v[:, :, piece], self.slopes) for piece in pieces]
        return torch.cat(parts, dim=2)

    def buffer(self) -> TokenBuffer:
        """An empty one for tokens that are read one after another."""
        return TokenBuffer(self.block_size)
