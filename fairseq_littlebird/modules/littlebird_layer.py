"""One LittleBird layer (section 3.3, figure 1).

Legend: B batch, L tokens, S pack size, H heads, C hidden width, D head width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.attention import BiALiBi, pack_attention, unpack_window_attention
from fairseq_littlebird.modules.config import EncoderConfig
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

    def __init__(self, config: EncoderConfig, last: bool = False) -> None:
        super().__init__()
        C = config.embed_dim
        self.config = config
        if config.pack_size:
            self.pack_q, self.pack_k, self.pack_v = (nn.Linear(C, C) for _ in range(3))
            self.pack_norm = None if last else nn.LayerNorm(C)
        self.q, self.k, self.v = (nn.Linear(C, C) for _ in range(3))
        self.out = nn.Linear(C, C)
        self.slopes = BiALiBi(config.heads) if config.positions == "bialibi" and config.window else None
        self.attention_norm = nn.LayerNorm(C)
        self.ffn = FeedForward(C, config.ffn_embed_dim, config.activation_dropout)
        self.ffn_norm = nn.LayerNorm(C)

    def forward(
        self, x: Tensor, p: Tensor, positions: Tensor | None = None, padding_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """
        Args:
            x: <float>[B, L, C].
            p: <float>[B, S, C].
            positions: <integer>[B, L] or None.
            padding_mask: <bool>[B, L], True = padding, or None.
        Returns:
            X' <float>[B, L, C] and P' <float>[B, S, C].
        """
        if self.config.pack_size:
            c_p = self.pack(x, p, padding_mask)
            if self.pack_norm is not None:
                p = self.pack_norm(self.dropout(c_p) + p)
        else:
            c_p = p
        c_x = self.unpack_and_window(x, c_p, positions, padding_mask)
        a = self.attention_norm(self.dropout(c_x) + x)
        return self.ffn_norm(self.dropout(self.ffn(a)) + a), p

    def pack(self, x: Tensor, p: Tensor, padding_mask: Tensor | None) -> Tensor:
        """C_P = Attn(P, X) <float>[B, S, C]; no output projection, as in LUNA."""
        q, k, v = self.heads(self.pack_q(p)), self.heads(self.pack_k(x)), self.heads(self.pack_v(x))
        return merge_heads(pack_attention(q, k, v, padding_mask, self.attention_dropout()))

    def unpack_and_window(
        self, x: Tensor, c_p: Tensor, positions: Tensor | None, padding_mask: Tensor | None
    ) -> Tensor:
        """C_X = USWAttn(X, C_P) <float>[B, L, C]; keys and values of C_P come from before its norm."""
        q, pack_k, pack_v = self.heads(self.q(x)), self.heads(self.k(c_p)), self.heads(self.v(c_p))
        if not self.config.window:
            unpacked = F.scaled_dot_product_attention(q, pack_k, pack_v, dropout_p=self.attention_dropout())
            return self.out(merge_heads(unpacked))
        c_x = unpack_window_attention(
            q,
            self.heads(self.k(x)),
            self.heads(self.v(x)),
            pack_k,
            pack_v,
            self.slopes,
            positions,
            padding_mask,
            self.config.block_size,
            self.attention_dropout(),
            self.config.attention_backend,
        )
        return self.out(merge_heads(c_x))

    def heads(self, x: Tensor) -> Tensor:
        """[B, n, C] to [B, H, n, D]."""
        return x.unflatten(-1, (self.config.heads, -1)).transpose(1, 2)

    def attention_dropout(self) -> float:
        return self.config.attention_dropout if self.training else 0.0

    def dropout(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training)


def merge_heads(x: Tensor) -> Tensor:
    """[B, H, n, D] to [B, n, C]."""
    return x.transpose(1, 2).flatten(2)
