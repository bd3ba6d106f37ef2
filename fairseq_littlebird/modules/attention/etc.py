"""ETC's attention as a module: over the global tokens, then the long ones (Ainslie et al., 2020, section 3).

Legend: B batch, L long tokens X, G global tokens Y, H heads, D head width, k clipping distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.etc import etc_attention
from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.self_attention import SelfAttention
from fairseq_littlebird.modules.config.etc import ETCConfig


@dataclass(frozen=True, kw_only=True)
class ETCContext(AttentionContext):
    """What all layers share of a batch of [Y ; X]: <bool>[B, G + L] pads global tokens that no token belongs to."""

    owner: Tensor  # <int64>[B, L], each long token's global token; of structured input [B, L, 2]
    mentions: Tensor | None = None  # <int64>[B, L], of structured input
    groups: Tensor | None = None  # <int64>[B, G], of structured input
    kinds: Tensor | None = None  # <int64>[B, G], of structured input
    focused: Tensor | None = None  # <bool>[B, G], global tokens that see their own long tokens alone

    @property
    def global_tokens(self) -> int:
        """G of the batch."""
        assert self.padding_mask is not None
        return self.padding_mask.shape[1] - self.owner.shape[1]


class ETCAttention(SelfAttention[ETCContext]):
    """Attn(Z, Z) with Z = [Y ; X].

    Both kinds of tokens share all weights, which ETC has as an option and which lets RoBERTa's serve; what tells them
    apart is whom they see, and ``relative`` <float>[H, 2, 2k + 3, D], for structured input [H, 2, 2k + 5, D]: a vector
    for each label of a query and a key, see :func:`dense_etc_attention`.

    Args:
        config: sizes.
    """

    def __init__(self, config: ETCConfig) -> None:
        super().__init__(config)
        self.radius, self.plain_labels = config.local_radius, 2 * config.max_distance + 3
        labels = self.plain_labels + (2 if config.is_structured else 0)
        self.relative = nn.Parameter(torch.empty(config.heads, 2, labels, config.embed_dim // config.heads))
        nn.init.normal_(self.relative, std=0.02)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, context: ETCContext) -> Tensor:
        assert context.padding_mask is not None
        relative = self.relative if context.groups is not None else self.relative[:, :, : self.plain_labels]
        where = context.owner, context.padding_mask, self.radius
        structure = context.mentions, context.groups, context.focused
        return etc_attention(q, k, v, relative, *where, self.dropout_p(), *structure)

    def internals(self, q: Tensor, k: Tensor, context: ETCContext) -> FullAttentionInternals:
        """Of the long tokens."""
        G = context.global_tokens
        return FullAttentionInternals(q[:, :, G:], k[:, :, G:])
