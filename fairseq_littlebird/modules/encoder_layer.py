"""One layer of a Transformer encoder, composed of an attention, a feed-forward network and an order of the norms.

Legend: B batch, L tokens, N unpadded tokens of the whole batch, C hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from torch import Tensor, nn

from fairseq_littlebird.attention.common.dropout import dropout
from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.layer_norm import LayerNorm
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.config.encoder import EncoderConfig
from fairseq_littlebird.modules.feed_forward import (
    FeedForward,
    feed_forward,
    feed_forward_of_normed,
    normed_feed_forward,
)

NORM_ORDERS = ("post", "pre")


class EncoderLayer(nn.Module):
    """Attention, then feed forward, each added to what it reads.

    post:  A = LayerNorm(Attn(X) + X),  X' = LayerNorm(FFN(A) + A)   (Vaswani et al., 2017; BERT)
    pre:   A = Attn(LayerNorm(X)) + X,  X' = FFN(LayerNorm(A)) + A   (Pegasus; the stack needs a norm of its own)

    Args:
        attention: takes X and the context, returns its output and its internals; see :class:`SelfAttention`.
        feed_forward: whose width is C.
        norm_order: one of ``NORM_ORDERS``.
        dropout: of the attention's and of the feed-forward network's output.
        layer_norm_eps: see :class:`EncoderConfig`.
        norm_bias: whether the norms have biases.
        norm_attention: False leaves out the norm of X, where X is normed already.
    """

    def __init__(
        self,
        attention: nn.Module,
        feed_forward: FeedForward,
        norm_order: str = "post",
        *,
        dropout: float = 0.0,
        layer_norm_eps: float = 1e-5,
        norm_bias: bool = True,
        norm_attention: bool = True,
    ) -> None:
        super().__init__()
        if norm_order not in NORM_ORDERS:
            raise ValueError(f"norm order {norm_order!r} is not one of {', '.join(NORM_ORDERS)}")
        C = feed_forward.fc1.in_features
        self.norm_order, self.dropout = norm_order, dropout
        self.attention = attention
        norm = partial(LayerNorm, C, layer_norm_eps, bias=norm_bias)
        self.attention_norm: nn.Module = norm() if norm_attention else nn.Identity()
        self.ffn = feed_forward
        self.ffn_norm = norm()

    def forward(
        self, x: Tensor, context: AttentionContext, with_internals: bool = False
    ) -> tuple[Tensor, FullAttentionInternals | None]:
        """
        Args:
            x: <float>[B, L, C], or [N, C] as ``context`` unpads them.
            context: of the batch, as the attention needs it.
            with_internals: whether to return the attention's internals.
        Returns:
            X' in the shape of x, and the internals or None.
        """
        post, dropout_p = self.norm_order == "post", self.dropout if self.training else 0.0
        attended, internals = self.attention(x if post else self.attention_norm(x), context)
        a = dropout(attended, dropout_p) + x
        del attended  # not needed while the feed-forward runs
        if post:
            x = normed_feed_forward(a, self.attention_norm, self.ffn, self.ffn_norm, dropout_p)
        else:
            x = feed_forward_of_normed(a, self.ffn, self.ffn_norm, dropout_p)
        return x, internals if with_internals else None


def encoder_layers(
    config: EncoderConfig, attention: Callable[[int], nn.Module], norm_order: str | None = None
) -> Iterator[EncoderLayer]:
    """An encoder's layers of the sizes of ``config``, whose attentions are made by their numbers, from 0.

    The order of the norms is that of the layers' form, unless the family has its own.
    """
    form = config.form
    for number in range(config.layers):
        attention_module = attention(number)
        yield EncoderLayer(
            attention_module,
            feed_forward(config),
            norm_order or form.norm_order,
            dropout=config.dropout,
            layer_norm_eps=config.layer_norm_eps,
            norm_bias=form.bias,
            norm_attention=number > 0 or form.first_norm,
        )
