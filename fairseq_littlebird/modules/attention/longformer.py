"""Longformer's attention as a module (Beltagy et al., 2020, section 3.1).

Legend: B batch, L tokens, G global tokens of the sequence with the most, H heads, C hidden width, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from fairseq_littlebird.attention.longformer import longformer_attention
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.heads import split_heads
from fairseq_littlebird.modules.attention.self_attention import SelfAttention
from fairseq_littlebird.modules.config.longformer import LongformerConfig


@dataclass(frozen=True, kw_only=True)
class LongformerContext(AttentionContext):
    """What all layers share of a batch."""

    global_tokens: Tensor | None = None  # <bool>[B, L]
    global_index: Tensor  # <int64>[B, G], where they stand


class LongformerAttention(SelfAttention[LongformerContext]):
    """A window and global tokens for every token; these attend to all, by projections of their own.

    Args:
        config: sizes.
        layer: the number of its layer from 0, which decides its window and dilations.
    """

    def __init__(self, config: LongformerConfig, layer: int) -> None:
        super().__init__(config)
        C = config.embed_dim
        self.window, self.dilations = config.attention_window[layer], config.dilations[layer]
        self.global_q, self.global_k, self.global_v = (nn.Linear(C, C) for _ in range(3))

    def copy_to_global(self) -> None:
        """The global projections start as copies of the others (section 3.1)."""
        for of_global, of_all in ((self.global_q, self.q), (self.global_k, self.k), (self.global_v, self.v)):
            of_global.load_state_dict(of_all.state_dict())

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, context: LongformerContext) -> Tensor:
        x, index = context.pad(x), context.global_index
        apart = x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))  # [B, G, C]
        # of use to no token where none is global; the empty ones still give the parameters a gradient, 0
        everything = x if index.shape[1] else x[:, :0]
        global_q, global_k, global_v = (
            split_heads(project(of), self.heads)
            for project, of in ((self.global_q, apart), (self.global_k, everything), (self.global_v, everything))
        )
        where = context.global_tokens, context.padding_mask, self.window, self.dilations
        return longformer_attention(q, k, v, global_q, global_k, global_v, *where, self.dropout_p())
