"""One layer of a Transformer encoder with full attention, its norms after the sums (Vaswani et al., 2017; BERT)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.attention.dropout import dropout
from fairseq_littlebird.attention.routing import FullRouting
from fairseq_littlebird.modules.attention_heads import merge_heads, split_heads
from fairseq_littlebird.modules.config import FullAttentionConfig
from fairseq_littlebird.modules.feed_forward import FeedForward


class TransformerLayer(nn.Module):
    """A = LayerNorm(Attn(X, X) + X), X' = LayerNorm(FFN(A) + A).

    Args:
        config: sizes.
    """

    def __init__(self, config: FullAttentionConfig) -> None:
        super().__init__()
        C, eps = config.embed_dim, config.layer_norm_eps
        self.config = config
        self.q, self.k, self.v, self.out = (nn.Linear(C, C) for _ in range(4))
        self.attention_norm = nn.LayerNorm(C, eps)
        self.ffn = FeedForward(C, config.ffn_embed_dim, config.activation_dropout)
        self.ffn_norm = nn.LayerNorm(C, eps)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, FullRouting]:
        """
        Args:
            x: <float>[B, L, C].
            padding_mask: <bool>[B, L], True = padding, or None.
        Returns:
            X' <float>[B, L, C], and the queries and keys.
        """
        q, k, v = (split_heads(project(x), self.config.heads) for project in (self.q, self.k, self.v))
        keep = None
        if padding_mask is not None:
            # a sequence of padding alone attends to itself: a softmax over nothing is not a number
            keep = (~padding_mask | padding_mask.all(dim=1, keepdim=True))[:, None, None, :]
        attended = F.scaled_dot_product_attention(
            q, k, v, keep, self.config.attention_dropout if self.training else 0.0
        )
        a = self.attention_norm(self.dropout(self.out(merge_heads(attended))) + x)
        return self.ffn_norm(self.dropout(self.ffn(a)) + a), FullRouting(q, k)

    def dropout(self, x: Tensor) -> Tensor:
        return dropout(x, self.config.dropout, self.training)
