"""One LittleBird layer (section 3.3, figure 1).

Legend: B batch, L tokens, S pack size, N unpadded tokens of the whole batch, C hidden width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.common.dropout import dropout
from fairseq_littlebird.attention.internals import FullAttentionInternals, LittleBirdInternals
from fairseq_littlebird.modules.attention.heads import split_heads
from fairseq_littlebird.modules.attention.littlebird import LittleBirdContext, PackAttention, UnpackWindowAttention
from fairseq_littlebird.modules.config.littlebird import LittleBirdConfig
from fairseq_littlebird.modules.feed_forward import FeedForward, normed_feed_forward


class Streams(NamedTuple):
    """What LittleBird's layers hand on."""

    x: Tensor  # X <float>[B, L, C], or [N, C] as the context unpads them
    p: Tensor  # P <float>[B, S, C]


class LittleBirdLayer(nn.Module):
    """Pack, then unpack together with the sliding window, then feed forward; each followed by its norm.

    C_P = Attn(P, X)                 P' = LayerNorm(C_P + P)
    C_X = USWAttn(X, C_P)            A  = LayerNorm(C_X + X)
                                     X' = LayerNorm(FFN(A) + A)

    Args:
        config: sizes and switches.
        last: this layer's P' is unused, so it has no norm for it and hands on P as it came.
        attention: what makes its unpack and window attention.
    """

    def __init__(
        self,
        config: LittleBirdConfig,
        last: bool = False,
        attention: Callable[[LittleBirdConfig], UnpackWindowAttention] = UnpackWindowAttention,
    ) -> None:
        super().__init__()
        C, eps = config.embed_dim, config.layer_norm_eps
        self.dropout = config.dropout
        self.pack_attention = PackAttention(config) if config.pack_size else None
        self.pack_norm = nn.LayerNorm(C, eps) if config.pack_size and not last else None
        self.attention = attention(config)
        self.attention_norm = nn.LayerNorm(C, eps)
        self.ffn = FeedForward(C, config.ffn_embed_dim, config.activation_dropout, config.activation)
        self.ffn_norm = nn.LayerNorm(C, eps)

    def forward(
        self, streams: Streams, context: LittleBirdContext, with_internals: bool = False
    ) -> tuple[Streams, LittleBirdInternals | None]:
        """
        Args:
            streams: X and P.
            context: of the batch.
            with_internals: whether to return the attention's internals.
        Returns:
            X' and P' in the shapes of X and P, and the internals or None.
        """
        (x, p), dropout_p = streams, self.dropout if self.training else 0.0
        c_p, packing = p, None
        if self.pack_attention is not None:
            c_p, packing = self.pack_attention(p, x, context, with_internals)
        c_x, of_tokens, pack_k = self.attention(x, c_p, context)
        internals = self.internals(p, packing, of_tokens, pack_k) if with_internals else None
        r = dropout(c_x, dropout_p) + x
        del c_x, of_tokens, pack_k  # not needed while the feed-forward runs
        x = normed_feed_forward(r, self.attention_norm, self.ffn, self.ffn_norm, dropout_p)  # A, then X'
        if self.pack_norm is not None:
            p = self.pack_norm(dropout(c_p, dropout_p) + p)
        return Streams(x, p), internals

    def internals(
        self, p: Tensor, packing: FullAttentionInternals | None, of_tokens: FullAttentionInternals, pack_k: Tensor
    ) -> LittleBirdInternals:
        """Of both attentions; without a pack stream P is empty, and so are its queries."""
        if packing is None:
            packing = FullAttentionInternals(split_heads(p, self.attention.heads), of_tokens.k)
        slopes = self.attention.slopes
        coefficients = None if slopes is None else torch.stack(slopes.coefficients())
        return LittleBirdInternals(of_tokens.q, of_tokens.k, packing.q, packing.k, pack_k, coefficients)
