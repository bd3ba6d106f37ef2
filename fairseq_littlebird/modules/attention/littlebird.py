"""LittleBird's attention as two modules: pack, then unpack together with the sliding window (section 3.3).

Legend: B batch, L tokens, S pack size, N unpadded tokens of the whole batch, H heads, C hidden width, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.attention.littlebird import (
    BiALiBi,
    DistanceFeatures,
    TokenPlaces,
    absorbed_pack_attention,
    pack_attention,
    unpack_window_attention,
)
from fairseq_littlebird.exporting import is_exporting
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.heads import merge_heads, split_heads
from fairseq_littlebird.modules.config.littlebird import LittleBirdConfig


@dataclass(frozen=True, kw_only=True)
class LittleBirdContext(AttentionContext):
    """What all layers share of a batch."""

    positions: Tensor | None = None  # <integer>[B, L]; None for 0 … L-1
    distance_features: DistanceFeatures | TokenPlaces | None = None  # see unpack_window_attention


class PackAttention(nn.Module):
    """C_P = Attn(P, X): the pack vectors read all tokens. No output projection, as in LUNA.

    Args:
        config: sizes.
    """

    def __init__(self, config: LittleBirdConfig) -> None:
        super().__init__()
        C = config.embed_dim
        self.heads, self.dropout = config.heads, config.attention_dropout
        self.fits_absorption = config.pack_size * config.heads <= C
        self.q, self.k, self.v = (nn.Linear(C, C, config.form.bias) for _ in range(3))

    def forward(
        self, p: Tensor, x: Tensor, context: LittleBirdContext, with_internals: bool = False
    ) -> tuple[Tensor, FullAttentionInternals | None]:
        """
        Args:
            p: <float>[B, S, C].
            x: <float>[B, L, C], or [N, C] as ``context`` unpads them.
            context: of the batch.
            with_internals: whether to return the queries and keys, which the absorbed form does not make.
        Returns:
            C_P <float>[B, S, C], and the queries and keys or None.
        """
        x, q, dropout_p = context.pad(x), split_heads(self.q(p), self.heads), self.dropout if self.training else 0.0
        if self.absorbs(x) and not with_internals:
            weights = self.k.weight, self.k.bias, self.v.weight, self.v.bias
            return merge_heads(absorbed_pack_attention(q, x, *weights, context.padding_mask, dropout_p)), None
        k, v = split_heads(self.k(x), self.heads), split_heads(self.v(x), self.heads)
        return merge_heads(pack_attention(q, k, v, context.padding_mask, dropout_p)), FullAttentionInternals(q, k)

    def absorbs(self, x: Tensor) -> bool:
        """Whether that is the faster form: on a CPU, in float32, if S queries a head are no more than its width."""
        fits = self.fits_absorption and not is_exporting()
        fits = fits and type(self.k) is nn.Linear  # and not a quantized one
        return fits and x.device.type == "cpu" and x.dtype.itemsize >= 4 and not torch.is_autocast_enabled("cpu")


class UnpackWindowAttention(nn.Module):
    """C_X = USWAttn(X, C_P): the tokens read C_P, the global block and their window in one softmax.

    Args:
        config: sizes and switches.
    """

    def __init__(self, config: LittleBirdConfig) -> None:
        super().__init__()
        C = config.embed_dim
        self.heads, self.dropout = config.heads, config.attention_dropout
        self.block_size, self.window, self.backend = config.block_size, config.window, config.attention_backend
        self.q, self.k, self.v, self.out = (nn.Linear(C, C, config.form.bias) for _ in range(4))
        self.slopes = BiALiBi(config.heads) if config.positions == "bialibi" and config.window else None

    def forward(
        self, x: Tensor, c_p: Tensor, context: LittleBirdContext
    ) -> tuple[Tensor, FullAttentionInternals, Tensor]:
        """
        Args:
            x: <float>[B, L, C], or [N, C] as ``context`` unpads them.
            c_p: <float>[B, S, C], before its norm.
            context: of the batch.
        Returns:
            C_X in the shape of x; the queries and keys of X; and the keys of C_P <float>[B, H, S, D].
        """
        q, k, v = (split_heads(context.pad(project(x)), self.heads) for project in (self.q, self.k, self.v))
        pack_k, pack_v = split_heads(self.k(c_p), self.heads), split_heads(self.v(c_p), self.heads)
        attended = context.unpad(merge_heads(self.attend(q, k, v, pack_k, pack_v, context)))
        return self.out(attended), FullAttentionInternals(q, k), pack_k

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, pack_k: Tensor, pack_v: Tensor, context: LittleBirdContext
    ) -> Tensor:
        """USWAttn(X, C_P) before its output projection.

        Args:
            q, k, v: <float>[B, H, L, D], of X.
            pack_k, pack_v: <float>[B, H, S, D], of C_P.
            context: of the batch.
        Returns:
            <float>[B, H, L, D].
        """
        dropout_p = self.dropout if self.training else 0.0
        if not self.window:
            return F.scaled_dot_product_attention(q, pack_k, pack_v, dropout_p=dropout_p)
        where = context.positions, context.padding_mask, self.block_size
        how = dropout_p, self.backend, context.distance_features
        return unpack_window_attention(q, k, v, pack_k, pack_v, self.slopes, *where, *how)
