"""One LittleBird layer (section 3.3, figure 1).

Legend: B batch, L tokens, S pack size, H heads, C hidden width, D head width, N rows of X: all of B × L, or the
unpadded ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.attention.common.dropout import dropout
from fairseq_littlebird.attention.internals import LittleBirdRouting
from fairseq_littlebird.attention.littlebird import (
    BiALiBi,
    absorbed_pack_attention,
    pack_attention,
    unpack_window_attention,
)
from fairseq_littlebird.exporting import is_exporting
from fairseq_littlebird.modules.attention.context import Layout
from fairseq_littlebird.modules.attention.heads import merge_heads, split_heads
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.feed_forward import FeedForward, normed_feed_forward


class LittleBirdLayer(nn.Module):
    """Pack, then unpack together with the sliding window, then feed forward; each followed by its norm.

    C_P = Attn(P, X)                 P' = LayerNorm(C_P + P)
    C_X = USWAttn(X, C_P)            A  = LayerNorm(C_X + X)
                                     X' = LayerNorm(FFN(A) + A)

    Args:
        config: sizes and switches.
        last: nobody reads this layer's P', so it has no norm for it and hands on P as it came.
    """

    def __init__(self, config: LittleBirdConfig, last: bool = False) -> None:
        super().__init__()
        C = config.embed_dim
        self.config = config
        if config.pack_size:
            self.pack_q, self.pack_k, self.pack_v = (nn.Linear(C, C) for _ in range(3))
            self.pack_norm = None if last else nn.LayerNorm(C, config.layer_norm_eps)
        self.q, self.k, self.v = (nn.Linear(C, C) for _ in range(3))
        self.out = nn.Linear(C, C)
        self.slopes = BiALiBi(config.heads) if config.positions == "bialibi" and config.window else None
        self.attention_norm = nn.LayerNorm(C, config.layer_norm_eps)
        self.ffn = FeedForward(C, config.ffn_embed_dim, config.activation_dropout, config.activation)
        self.ffn_norm = nn.LayerNorm(C, config.layer_norm_eps)

    def forward(
        self, x: Tensor, p: Tensor, layout: Layout, return_routing: bool = False
    ) -> tuple[Tensor, Tensor, LittleBirdRouting | None]:
        """
        Args:
            x: <float>[B, L, C], or [N, C] as ``layout.rows`` takes them.
            p: <float>[B, S, C].
            layout: of the batch.
            return_routing: whether to return what decides where the layer attends.
        Returns:
            X' in the shape of x, P' <float>[B, S, C], and the routing or None.
        """
        c_x, c_p, routing = self.attend(x, p, layout, return_routing)
        r = self.dropout(self.out(c_x)) + x
        del c_x  # not needed while the feed-forward runs
        x = normed_feed_forward(r, self.attention_norm, self.ffn, self.ffn_norm, self.dropout_p())
        if self.config.pack_size and self.pack_norm is not None:
            p = self.pack_norm(self.dropout(c_p) + p)
        return x, p, routing

    def attend(
        self, x: Tensor, p: Tensor, layout: Layout, return_routing: bool
    ) -> tuple[Tensor, Tensor, LittleBirdRouting | None]:
        """C_X in the shape of x, before its output projection, C_P <float>[B, S, C], and the routing or None."""
        c_p, pack_q, pack_x_k = self.pack(x, p, layout, return_routing)
        q, k, v = (self.heads(layout.rows.put(project(x))) for project in (self.q, self.k, self.v))
        pack_k, pack_v = self.heads(self.k(c_p)), self.heads(self.v(c_p))  # of C_P before its norm
        c_x = layout.rows.take(self.unpack_and_window(q, k, v, pack_k, pack_v, layout))
        if not return_routing:
            return c_x, c_p, None
        slopes = None if self.slopes is None else torch.stack(self.slopes.coefficients())
        pack_x_k = k if pack_x_k is None else pack_x_k
        return c_x, c_p, LittleBirdRouting(q, k, pack_q, pack_x_k, pack_k, slopes)

    def pack(self, x: Tensor, p: Tensor, layout: Layout, with_keys: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        """C_P = Attn(P, X) <float>[B, S, C]; no output projection, as in LUNA.

        Also its queries <float>[B, H, S, D], and its keys <float>[B, H, L, D] where they were made: ``with_keys``
        makes sure of it.
        """
        if not self.config.pack_size:
            return p, self.heads(p), None
        x, q, drop = layout.rows.put(x), self.heads(self.pack_q(p)), self.attention_dropout()
        if self.absorbs_pack(x) and not with_keys:
            weights = self.pack_k.weight, self.pack_k.bias, self.pack_v.weight, self.pack_v.bias
            return merge_heads(absorbed_pack_attention(q, x, *weights, layout.padding_mask, drop)), q, None
        k, v = self.heads(self.pack_k(x)), self.heads(self.pack_v(x))
        return merge_heads(pack_attention(q, k, v, layout.padding_mask, drop)), q, k

    def absorbs_pack(self, x: Tensor) -> bool:
        """Whether that is the faster form: on a CPU, in float32, if S rows a head are no more than its width."""
        fits = self.config.pack_size * self.config.heads <= self.config.embed_dim and not is_exporting()
        fits = fits and type(self.pack_k) is nn.Linear  # and not a quantized one
        return fits and x.device.type == "cpu" and x.dtype.itemsize >= 4 and not torch.is_autocast_enabled("cpu")

    def unpack_and_window(
        self, q: Tensor, k: Tensor, v: Tensor, pack_k: Tensor, pack_v: Tensor, layout: Layout
    ) -> Tensor:
        """USWAttn(X, C_P) <float>[B, L, C], before its output projection."""
        drop, config = self.attention_dropout(), self.config
        if not config.window:
            return merge_heads(F.scaled_dot_product_attention(q, pack_k, pack_v, dropout_p=drop))
        positions, padding_mask, features, _ = layout
        where = positions, padding_mask, config.block_size
        return merge_heads(
            unpack_window_attention(
                q, k, v, pack_k, pack_v, self.slopes, *where, drop, config.attention_backend, features
            )
        )

    def heads(self, x: Tensor) -> Tensor:
        """[B, n, C] to [B, H, n, D]."""
        return split_heads(x, self.config.heads)

    def attention_dropout(self) -> float:
        return self.config.attention_dropout if self.training else 0.0

    def dropout_p(self) -> float:
        return self.config.dropout if self.training else 0.0

    def dropout(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout_p())
