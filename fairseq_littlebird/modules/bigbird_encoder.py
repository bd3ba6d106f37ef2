"""The BigBird-ITC encoder: a Transformer whose attention is BigBird's.

Legend: B batch, L tokens, H heads, D head width, n blocks, R random blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.bigbird import bigbird_attention, last_blocks, random_blocks
from fairseq_littlebird.modules.config import BigBirdConfig
from fairseq_littlebird.modules.encoder import TransformerEncoder
from fairseq_littlebird.modules.encoder_layer import TransformerLayer
from fairseq_littlebird.modules.unpadding import PaddedRows, UnpaddedRows


class BigBirdLayout(NamedTuple):
    """What all layers share of a batch."""

    padding_mask: Tensor | None  # <bool>[B, L], True = padding
    rows: PaddedRows | UnpaddedRows  # which rows of X are computed with
    random_blocks: Tensor  # <int64>[layers, B or 1, H, n, R], -1 for none


class BigBirdLayer(TransformerLayer):
    """A layer of full attention's parameters."""

    config: BigBirdConfig

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, layout: BigBirdLayout) -> Tensor:
        blocks = layout.random_blocks[self.number]
        return bigbird_attention(q, k, v, layout.padding_mask, self.config.block_size, blocks, self.attention_dropout())


class BigBirdEncoder(TransformerEncoder):
    """Token ids to hidden states, in time and memory linear in L, L up to ``config.max_positions``.

    A sequence's blocks are counted up to its own last token, so that what it is padded to changes nothing.

    Args:
        config: sizes.
    """

    layer_class = BigBirdLayer
    config: BigBirdConfig

    @torch.compiler.disable  # the numbers of blocks are read off the batch
    def layout(self, padding_mask: Tensor) -> BigBirdLayout:
        shared, L, device = super().layout(padding_mask), padding_mask.shape[1], padding_mask.device
        last = last_blocks(shared.padding_mask, L, self.config.block_size, device).tolist()
        tables = [self.random_blocks(blocks + 1) for blocks in (last if len(set(last)) > 1 else last[:1])]
        return BigBirdLayout(
            shared.padding_mask, shared.rows, padded(tables, -(-L // self.config.block_size)).to(device)
        )

    def random_blocks(self, blocks: int) -> Tensor:
        """Those of every layer for a sequence of so many blocks, <int64>[layers, H, n, R]."""
        c = self.config
        return random_blocks(c.random_attention, blocks, c.random_blocks, c.heads, c.layers, c.seed)


def padded(tables: list[Tensor], blocks: int) -> Tensor:
    """Tables <int64>[layers, H, n or less, R or less] of B sequences side by side, [layers, B, H, n, R]."""
    width = max(table.shape[-1] for table in tables)
    return torch.stack([F.pad(t, (0, width - t.shape[3], 0, blocks - t.shape[2]), value=-1) for t in tables], dim=1)
