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
from fairseq_littlebird.modules.feed_forward import feed_forward, feed_forward_of_normed, normed_feed_forward
from fairseq_littlebird.modules.norm import layer_norm


class Streams(NamedTuple):
    """What LittleBird's layers hand on."""

    x: Tensor  # X <float>[B, L, C], or [N, C] as the context unpads them
    p: Tensor  # P <float>[B, S, C]


class LittleBirdLayer(nn.Module):
    """Pack, then unpack together with the sliding window, then feed forward.

    post: the paper's, each followed by its norm.
        C_P = Attn(P, X)                     P' = LayerNorm(C_P + P)
        C_X = USWAttn(X, C_P)                A  = LayerNorm(C_X + X)
                                             X' = LayerNorm(FFN(A) + A)
    pre: ModernBERT's, each after its norm; the sums are never normed, in either stream.
        C_P = Attn(LayerNorm(P), Y)          P' = C_P + P                  Y = LayerNorm(X)
        C_X = USWAttn(Y, C_P)                A  = C_X + X
                                             X' = FFN(LayerNorm(A)) + A
    The first layer has Y = X and no norm of P: the embeddings are normed, and P is learned in their size.

    Args:
        config: sizes, switches and form.
        last: this layer's P' is unused: it hands on P as it came, and has no norm for P'.
        attention: what makes its unpack and window attention.
        first: the layer reads normed embeddings, where the form says so.
    """

    def __init__(
        self,
        config: LittleBirdConfig,
        last: bool = False,
        attention: Callable[[LittleBirdConfig], UnpackWindowAttention] = UnpackWindowAttention,
        *,
        first: bool = False,
    ) -> None:
        super().__init__()
        form = config.form
        self.dropout, self.norm_order, self.last = config.dropout, form.norm_order, last
        reads_normed = first and not form.first_norm
        has_pack_norm = not (first if form.norm_order == "pre" else last)
        self.pack_attention = PackAttention(config) if config.pack_size else None
        self.pack_norm = layer_norm(config) if config.pack_size and has_pack_norm else None
        self.attention = attention(config)
        self.attention_norm: nn.Module = nn.Identity() if reads_normed else layer_norm(config)
        self.ffn = feed_forward(config)
        self.ffn_norm = layer_norm(config)

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
        post = self.norm_order == "post"
        y, query = (x, p) if post else (self.attention_norm(x), p if self.pack_norm is None else self.pack_norm(p))
        c_p, packing = p, None
        if self.pack_attention is not None:
            c_p, packing = self.pack_attention(query, y, context, with_internals)
        c_x, of_tokens, pack_k = self.attention(y, c_p, context)
        internals = self.internals(p, packing, of_tokens, pack_k) if with_internals else None
        r = dropout(c_x, dropout_p) + x
        del y, c_x, of_tokens, pack_k  # not needed while the feed-forward runs
        if post:
            x = normed_feed_forward(r, self.attention_norm, self.ffn, self.ffn_norm, dropout_p)  # A, then X'
        else:
            x = feed_forward_of_normed(r, self.ffn, self.ffn_norm, dropout_p)
        if not self.last and self.pack_attention is not None:
            p = dropout(c_p, dropout_p) + p
            p = self.pack_norm(p) if post and self.pack_norm is not None else p
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
