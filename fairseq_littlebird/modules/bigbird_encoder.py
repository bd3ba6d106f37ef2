"""The BigBird-ITC encoder: a Transformer whose attention is BigBird's.

Legend: B batch, L tokens, H heads, n blocks, R random blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.bigbird import last_blocks, random_blocks
from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.modules.attention.bigbird import BigBirdAttention, BigBirdContext
from fairseq_littlebird.modules.attention.context import checked_padding
from fairseq_littlebird.modules.config.bigbird import BigBirdConfig
from fairseq_littlebird.modules.encoder import OneStreamEncoder
from fairseq_littlebird.modules.encoder_layer import encoder_layers
from fairseq_littlebird.modules.token_annotations import TokenAnnotations


class BigBirdEncoder(OneStreamEncoder[BigBirdContext, FullAttentionInternals]):
    """Token ids to hidden states, in time and memory linear in L, L up to ``config.max_positions``.

    A sequence's blocks are counted up to its own last token, so that what it is padded to changes nothing.

    Args:
        config: sizes.
        norm_order: of the layers, see :func:`encoder_layers`.
        attention_bias: whether the attentions' projections have biases; None as the layers' form has it.
    """

    config: BigBirdConfig

    def __init__(
        self, config: BigBirdConfig, norm_order: str | None = None, attention_bias: bool | None = None
    ) -> None:
        def attention(number: int) -> BigBirdAttention:
            return BigBirdAttention(config, number, attention_bias)

        super().__init__(config, encoder_layers(config, attention, norm_order))

    def attention_context(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor, annotations: TokenAnnotations
    ) -> BigBirdContext:
        if torch.compiler.is_compiling():  # no decorator: it would import the whole compiler with this file
            uncompiled: BigBirdContext = torch.compiler.disable(self.context_of)(padding_mask, annotations)
            return uncompiled
        return self.context_of(padding_mask, annotations)

    def context_of(self, padding_mask: Tensor, annotations: TokenAnnotations) -> BigBirdContext:
        """Of a mask <bool>[B, L]; not to be compiled, as the numbers of blocks are read off the batch."""
        (mask, unpadding), L = checked_padding(padding_mask, annotations), padding_mask.shape[1]
        blocks = self.blocks_of(mask, L, padding_mask.device, annotations.lengths)
        tables = [self.random_blocks(count) for count in (blocks if len(set(blocks)) > 1 else blocks[:1])]
        table = padded(tables, -(-L // self.config.block_size)).to(padding_mask.device, non_blocking=True)
        return BigBirdContext(mask, unpadding, random_blocks=table)

    def blocks_of(self, mask: Tensor | None, L: int, device: torch.device, lengths: Sequence[int] | None) -> list[int]:
        """How many blocks each sequence has, or all; waits for a device only where lengths are not told."""
        b = self.config.block_size
        if mask is None:
            return [-(-L // b)]
        if lengths is None:
            return [last + 1 for last in last_blocks(mask, L, b, device).tolist()]
        return [max(1, -(-n // b)) for n in lengths]

    def random_blocks(self, blocks: int) -> Tensor:
        """Those of every layer for a sequence of so many blocks, <int64>[layers, H, n, R]."""
        c = self.config
        return random_blocks(c.random_attention, blocks, c.random_blocks, c.heads, c.layers, c.seed, c.global_blocks)


def padded(tables: list[Tensor], blocks: int) -> Tensor:
    """Tables <int64>[layers, H, n or less, R or less] of B sequences side by side, [layers, B, H, n, R]."""
    width = max(table.shape[-1] for table in tables)
    return torch.stack([F.pad(t, (0, width - t.shape[3], 0, blocks - t.shape[2]), value=-1) for t in tables], dim=1)
