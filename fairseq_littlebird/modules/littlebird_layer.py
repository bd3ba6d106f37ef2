"""One LittleBird layer (section 3.3, figure 1).

Legend: B batch, L tokens, S pack size, H heads, C hidden width, D head width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.attention import BiALiBi, pack_attention, unpack_window_attention
from fairseq_littlebird.attention.routing import LittleBirdRouting
from fairseq_littlebird.modules.attention_heads import merge_heads, split_heads
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.feed_forward import FeedForward


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
        self.ffn = FeedForward(C, config.ffn_embed_dim, config.activation_dropout)
        self.ffn_norm = nn.LayerNorm(C, config.layer_norm_eps)

    def forward(
        self, x: Tensor, p: Tensor, positions: Tensor | None = None, padding_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, LittleBirdRouting]:
        """
        Args:
            x: <float>[B, L, C].
            p: <float>[B, S, C].
            positions: <integer>[B, L] or None.
            padding_mask: <bool>[B, L], True = padding, or None.
        Returns:
            X' <float>[B, L, C], P' <float>[B, S, C], and what decided where the layer attends.
        """
        q, k = self.heads(self.q(x)), self.heads(self.k(x))
        pack_q, pack_x_k, c_p = self.heads(p), k, p  # S = 0: nothing of it is read
        if self.config.pack_size:
            pack_q, pack_x_k = self.heads(self.pack_q(p)), self.heads(self.pack_k(x))
            c_p = self.pack(pack_q, pack_x_k, x, padding_mask)
            if self.pack_norm is not None:
                p = self.pack_norm(self.dropout(c_p) + p)
        pack_k = self.heads(self.k(c_p))  # of C_P before its norm
        slopes = None if self.slopes is None else torch.stack(self.slopes.coefficients())
        routing = LittleBirdRouting(q, k, pack_q, pack_x_k, pack_k, slopes)
        c_x = self.unpack_and_window(routing, x, c_p, positions, padding_mask)
        a = self.attention_norm(self.dropout(c_x) + x)
        return self.ffn_norm(self.dropout(self.ffn(a)) + a), p, routing

    def pack(self, pack_q: Tensor, pack_x_k: Tensor, x: Tensor, padding_mask: Tensor | None) -> Tensor:
        """C_P = Attn(P, X) <float>[B, S, C]; no output projection, as in LUNA."""
        v = self.heads(self.pack_v(x))
        return merge_heads(pack_attention(pack_q, pack_x_k, v, padding_mask, self.attention_dropout()))

    def unpack_and_window(
        self,
        routing: LittleBirdRouting,
        x: Tensor,
        c_p: Tensor,
        positions: Tensor | None,
        padding_mask: Tensor | None,
    ) -> Tensor:
        """C_X = USWAttn(X, C_P) <float>[B, L, C]."""
        q, k, pack_k, dropout = routing.q, routing.k, routing.pack_k, self.attention_dropout()
        pack_v = self.heads(self.v(c_p))
        if not self.config.window:
            return self.out(merge_heads(F.scaled_dot_product_attention(q, pack_k, pack_v, dropout_p=dropout)))
        v, b, backend = self.heads(self.v(x)), self.config.block_size, self.config.attention_backend
        c_x = unpack_window_attention(
            q, k, v, pack_k, pack_v, self.slopes, positions, padding_mask, b, dropout, backend
        )
        return self.out(merge_heads(c_x))

    def heads(self, x: Tensor) -> Tensor:
        """[B, n, C] to [B, H, n, D]."""
        return split_heads(x, self.config.heads)

    def attention_dropout(self) -> float:
        return self.config.attention_dropout if self.training else 0.0

    def dropout(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training)
