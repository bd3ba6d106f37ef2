"""One layer of a Transformer encoder, its norms after the sums (Vaswani et al., 2017; BERT)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.attention.common.dropout import dropout
from fairseq_littlebird.attention.internals import FullRouting
from fairseq_littlebird.modules.attention.heads import merge_heads, split_heads
from fairseq_littlebird.modules.config import EncoderConfig
from fairseq_littlebird.modules.feed_forward import FeedForward, normed_feed_forward


class TransformerLayer(nn.Module):
    """A = LayerNorm(Attn(X, X) + X), X' = LayerNorm(FFN(A) + A).

    Attention is full; sparse kinds are subclasses with another :meth:`attend`.

    Args:
        config: sizes.
        number: of the layer, from 0.
    """

    def __init__(self, config: EncoderConfig, number: int = 0) -> None:
        super().__init__()
        C, eps = config.embed_dim, config.layer_norm_eps
        self.config, self.number = config, number
        self.q, self.k, self.v, self.out = (nn.Linear(C, C) for _ in range(4))
        self.attention_norm = nn.LayerNorm(C, eps)
        self.ffn = FeedForward(C, config.ffn_embed_dim, config.activation_dropout, config.activation)
        self.ffn_norm = nn.LayerNorm(C, eps)

    def forward(self, x: Tensor, layout: Any) -> tuple[Tensor, FullRouting]:
        """
        Args:
            x: <float>[B, L, C], or [N, C] as ``layout.rows`` takes them.
            layout: of the batch, see :class:`Layout`; sparse kinds have their own.
        Returns:
            X' in the shape of x, and the queries and keys.
        """
        q, k, v = (split_heads(layout.rows.put(project(x)), self.config.heads) for project in (self.q, self.k, self.v))
        attended = layout.rows.take(merge_heads(self.attend(q, k, v, x, layout)))
        r = dropout(self.out(attended), self.config.dropout, self.training) + x
        dropout_p = self.config.dropout if self.training else 0.0
        return normed_feed_forward(r, self.attention_norm, self.ffn, self.ffn_norm, dropout_p), FullRouting(q, k)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, layout: Any) -> Tensor:
        """Attn(X, X) before its output projection.

        Args:
            q, k, v: <float>[B, H, L, D].
            x: what they were made of, as :meth:`forward` has it.
            layout: of the batch.
        Returns:
            <float>[B, H, L, D]; rows of padded queries are finite.
        """
        keep = None
        if layout.padding_mask is not None:
            # a sequence of padding alone attends to itself: a softmax over nothing is not a number
            padding = layout.padding_mask
            keep = (~padding | padding.all(dim=1, keepdim=True))[:, None, None, :]
        return F.scaled_dot_product_attention(q, k, v, keep, self.attention_dropout())

    def attention_dropout(self) -> float:
        return self.config.attention_dropout if self.training else 0.0
