"""What the attention of all one-stream encoders has: four projections, and a context.

Legend: B batch, L tokens, N unpadded tokens of the whole batch, H heads, C hidden width, D head width.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from torch import Tensor, nn

from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.heads import merge_heads, split_heads
from fairseq_littlebird.modules.config.encoder import EncoderConfig

ContextT = TypeVar("ContextT", bound=AttentionContext)


class SelfAttention(nn.Module, Generic[ContextT]):
    """Attn(X, X) with its projections; a family says by :meth:`attend` which query sees which key.

    Args:
        config: width, heads and dropout.
        bias: whether the projections have biases; None as the layers' form has it.
    """

    def __init__(self, config: EncoderConfig, bias: bool | None = None) -> None:
        super().__init__()
        C, bias = config.embed_dim, config.form.bias if bias is None else bias
        self.heads, self.dropout = config.heads, config.attention_dropout
        self.q, self.k, self.v, self.out = (nn.Linear(C, C, bias) for _ in range(4))

    def forward(self, x: Tensor, context: ContextT) -> tuple[Tensor, FullAttentionInternals]:
        """
        Args:
            x: <float>[B, L, C], or [N, C] as ``context`` unpads them.
            context: of the batch.
        Returns:
            the output in the shape of x; and the queries and keys.
        """
        q, k, v = self.project(x, context)
        attended = context.unpad(merge_heads(self.attend(q, k, v, x, context)))
        return self.out(attended), self.internals(q, k, context)

    def project(self, x: Tensor, context: ContextT) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values <float>[B, H, L, D] of what :meth:`forward` is given."""
        q, k, v = (split_heads(context.pad(project(x)), self.heads) for project in (self.q, self.k, self.v))
        return q, k, v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, context: ContextT) -> Tensor:
        """Attn(X, X) before its output projection.

        Args:
            q, k, v: <float>[B, H, L, D].
            x: what they were made of, as :meth:`forward` has it.
            context: of the batch.
        Returns:
            <float>[B, H, L, D]; finite at padded queries too.
        """
        raise NotImplementedError

    def internals(self, q: Tensor, k: Tensor, context: ContextT) -> FullAttentionInternals:
        """What is told of q and k <float>[B, H, L, D]."""
        return FullAttentionInternals(q, k)

    def dropout_p(self) -> float:
        """Of the attention probabilities; 0 outside training."""
        return self.dropout if self.training else 0.0
