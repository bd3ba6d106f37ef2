"""A decoder-only Transformer that reads tokens all at once, or one after another.

Legend: N sequences, n new tokens, B batch, L tokens, C hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.layer_norm import LayerNorm
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.config.encoder import EncoderConfig
from fairseq_littlebird.modules.embeddings import Embeddings, ScaledEmbeddings
from fairseq_littlebird.modules.encoder import OneStreamEncoder
from fairseq_littlebird.modules.encoder_layer import encoder_layers

ContextT = TypeVar("ContextT", bound=AttentionContext)


class LayerBuffer(Protocol):
    """What one layer needs of the tokens before."""

    count: int  # tokens so far

    def reorder(self, order: Tensor) -> None:
        """Goes on with the sequences <int64>[N'], of which one may be named several times."""


BufferT = TypeVar("BufferT", bound=LayerBuffer)


class DecodingState(Generic[BufferT]):
    """What tokens that follow need of those before: of memory that does not depend on what was read so far.

    Args:
        buffers: of each layer, empty.
    """

    def __init__(self, buffers: Sequence[BufferT]) -> None:
        self.buffers = buffers

    @property
    def count(self) -> int:
        """Tokens so far."""
        return self.buffers[0].count if self.buffers else 0

    def reorder(self, order: Tensor) -> None:
        """Goes on with the sequences <int64>[N'], of which one may be named several times."""
        for buffer in self.buffers:
            buffer.reorder(order)


class CausalDecoder(OneStreamEncoder[ContextT, FullAttentionInternals]):
    """Token ids to hidden states, each made of the token and of those before it, in time and memory linear in L.

    Norms before attention and feed forward, one at the end, embeddings times √C.

    Args:
        config: sizes.
        attention: what makes each layer's, by its number from 0; with a method ``buffer``.
    """

    def __init__(self, config: EncoderConfig, attention: Callable[[int], nn.Module]) -> None:
        super().__init__(config, encoder_layers(config, attention, "pre"))
        self.final_norm = LayerNorm(config.embed_dim, config.layer_norm_eps)

    def build_embeddings(self, config: Any) -> Embeddings:
        return ScaledEmbeddings(config)

    def decoding_context(self, x: Tensor, state: DecodingState[Any]) -> ContextT:
        """What the layers share of tokens that follow others.

        Args:
            x: the embeddings <float>[N, n, C].
            state: of the tokens before.
        """
        raise NotImplementedError

    def decoding_state(self) -> DecodingState[Any]:
        """What :meth:`extend` starts with."""
        return DecodingState([layer.attention.buffer() for layer in self.layers])  # type: ignore[union-attr,operator]

    def extend(self, tokens: Tensor, state: DecodingState[Any]) -> Tensor:
        """Goes on with the sequences of ``state``, in memory that does not depend on how long they are.

        Args:
            tokens: <integer>[N, n], n ≥ 1, without padding.
            state: of the tokens before; these are added to it.
        Returns:
            <float>[N, n, C], what :meth:`forward` over all tokens gives the last n.
        Raises:
            InputError: a position past the learned ones.
        """
        check_length(tokens.shape[1])
        positions = torch.arange(state.count, state.count + tokens.shape[1], device=tokens.device)
        x = self.embeddings(tokens, positions.expand_as(tokens))
        normed: Tensor = self.final_norm(self.layers(x, self.decoding_context(x, state)))
        return normed
