"""LittleBird's attention for language models, as modules: a causal pack, then unpack and window attention.

Legend: B batch, L tokens, S pack size, H heads, C hidden width, D head width, n blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.causal_littlebird import (
    CausalBiALiBi,
    TokenBuffer,
    causal_pack_attention,
    causal_unpack_window_attention,
)
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.heads import split_heads
from fairseq_littlebird.modules.attention.self_attention import SelfAttention
from fairseq_littlebird.modules.config.causal_littlebird import CausalLittleBirdConfig


@dataclass(frozen=True, kw_only=True)
class CausalLittleBirdContext(AttentionContext):
    """What all layers share of a batch; padding is on the right, where no token sees it."""

    buffers: Sequence[TokenBuffer] | None = None  # of each layer, where the batch goes on with earlier tokens


class CausalPackAttention(nn.Module):
    """C_P of each block: a layer's own learned P reads the tokens of the blocks before it.

    In LittleBird a layer hands on its P to the next; here each block would have one of its own to hand on, and reading
    all tokens anew with each would be quadratic.

    Args:
        config: sizes.
    """

    def __init__(self, config: CausalLittleBirdConfig) -> None:
        super().__init__()
        C = config.embed_dim
        self.heads, self.block_size = config.heads, config.block_size
        self.pack = nn.Parameter(torch.empty(config.pack_size, C))
        nn.init.normal_(self.pack)  # as large as the normalised tokens
        self.q, self.k, self.v = (nn.Linear(C, C) for _ in range(3))

    def forward(self, x: Tensor, dropout_p: float = 0.0) -> Tensor:
        """C_P <float>[B, H, n, S, D] of x <float>[B, L, C]."""
        return causal_pack_attention(*self.projections(x), None, self.block_size, dropout_p)

    def projections(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries <float>[H, S, D], keys and values <float>[B, H, L, D] of x <float>[B, L, C]."""
        queries = split_heads(self.q(self.pack)[None], self.heads)[0]
        return queries, split_heads(self.k(x), self.heads), split_heads(self.v(x), self.heads)


class CausalLittleBirdAttention(SelfAttention[CausalLittleBirdContext]):
    """Each token sees the tokens so far of block 0, of the block to the left and of its own, and C_P.

    Args:
        config: sizes.
        layer: the number of its layer from 0.
    """

    def __init__(self, config: CausalLittleBirdConfig, layer: int) -> None:
        super().__init__(config)
        self.layer, self.block_size = layer, config.block_size
        self.slopes = CausalBiALiBi(config.heads)
        self.pack_attention = CausalPackAttention(config) if config.pack_size else None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, context: CausalLittleBirdContext) -> Tensor:
        if context.buffers is not None:
            return self.extend(q, k, v, x, context.buffers[self.layer])
        pack_k = pack_v = None
        if self.pack_attention is not None:
            pack_k, pack_v = self.unpack(self.pack_attention(context.pad(x), self.dropout_p()))
        pack = pack_k, pack_v
        return causal_unpack_window_attention(q, k, v, *pack, self.slopes, None, self.block_size, self.dropout_p())

    def unpack(self, c_p: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of C_P, by the projections of the tokens; all <float>[B, H, n, S, D]."""
        c_p = c_p.permute(0, 2, 3, 1, 4).flatten(3)  # [B, n, S, C]
        k, v = (project(c_p).unflatten(3, (self.heads, -1)).permute(0, 3, 1, 2, 4) for project in (self.k, self.v))
        return k, v

    def extend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, buffer: TokenBuffer) -> Tensor:
        """:meth:`attend` of tokens that follow those of ``buffer``."""
        parts, packing = [], None
        if self.pack_attention is not None:
            packing = self.pack_attention.projections(x)
        for piece in buffer.pieces(q.shape[2]):
            if packing is not None:
                self.pack_piece(buffer, packing[0], packing[1][:, :, piece], packing[2][:, :, piece])
            parts.append(buffer.attend(q[:, :, piece], k[:, :, piece], v[:, :, piece], self.slopes))
        return torch.cat(parts, dim=2)

    def pack_piece(self, buffer: TokenBuffer, pack_q: Tensor, k: Tensor, v: Tensor) -> None:
        """Adds a piece's tokens to the running pack; what its blocks read is as it was before each.

        Args:
            buffer: which has not yet read the piece.
            pack_q: <float>[H, S, D], queries of P.
            k, v: <float>[N, H, n, D], of the piece.
        """
        c_p = None
        if k.shape[2] > self.block_size:
            c_p = buffer.pack.add_blocks(pack_q, k, v, self.block_size)
        else:
            if buffer.pack.value is not None and buffer.count % self.block_size == 0:
                c_p = buffer.pack.value[:, :, None]
            buffer.pack.add(pack_q, k, v)
        if c_p is not None:
            buffer.pack_k, buffer.pack_v = self.unpack(c_p.to(k.dtype))

    def buffer(self) -> TokenBuffer:
        """An empty one for tokens that are read one after another."""
        return TokenBuffer(self.block_size)
