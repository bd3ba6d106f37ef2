"""What all encoders are made of: embeddings, then a stack of layers over a state.

Legend: B batch, L tokens, G global tokens, C hidden width.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from torch import Tensor, nn

from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.config.encoder import EncoderConfig
from fairseq_littlebird.modules.embeddings import Embeddings
from fairseq_littlebird.modules.layer_stack import LayerStack
from fairseq_littlebird.modules.norm import layer_norm
from fairseq_littlebird.modules.token_annotations import NO_ANNOTATIONS, TokenAnnotations

ContextT = TypeVar("ContextT", bound=AttentionContext)
StateT = TypeVar("StateT", bound="Tensor | tuple[Tensor, ...]")
InternalsT = TypeVar("InternalsT")


class Encoder(nn.Module, Generic[ContextT, StateT, InternalsT]):
    """Token ids to hidden states. A family says what its layers share of a batch, and what they hand on.

    Args:
        config: sizes.
        layers: what :class:`LayerStack` takes.
    """

    def __init__(self, config: EncoderConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.config = config
        self.embeddings = self.build_embeddings(config)
        self.layers: LayerStack[StateT, InternalsT] = LayerStack(
            layers, config.layerdrop, config.checkpoint_activations
        )
        self.final_norm: nn.Module = layer_norm(config) if config.form.norm_order == "pre" else nn.Identity()
        reset_linear(self)
        self.embeddings.reset_parameters()

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        padding_mask: Tensor | None = None,
        states: list[Tensor] | None = None,
        internals: list[InternalsT] | None = None,
        annotations: TokenAnnotations = NO_ANNOTATIONS,
        global_states: list[Tensor] | None = None,
    ) -> Tensor:
        """
        Args:
            tokens: <integer>[B, L], L ≥ 1.
            positions: <integer>[B, L], or None for 0 … L-1; see the family.
            padding_mask: <bool>[B, L], True = padding, never before a sequence's first token; None takes
                ``tokens == padding_idx``.
            states: a list to add the embeddings and every layer's output to, each <float>[B, L, C]; not yet normed
                where the norms come before the sub-layers.
            internals: a list to add each layer's attention internals to.
            annotations: what the task says of its tokens.
            global_states: a list to add the last layer's output of global tokens beside the text to, <float>[B, G, C];
                of families that have some.
        Returns:
            the last layer's output <float>[B, L, C], through the final norm if there is one; what stands at padding is
            undefined.
        Raises:
            ValueError: a position past the learned ones, padding on the left, or L = 0.
        """
        check_length(tokens.shape[1])
        if padding_mask is None:
            padding_mask = tokens.eq(self.config.padding_idx)
        x = self.embeddings(tokens, positions, annotations.context_starts)
        context = self.attention_context(x, positions, padding_mask, annotations)
        handed_on: list[StateT] | None = None if states is None else []
        state = self.layers(self.initial_state(x, context), context, handed_on, internals)
        if states is not None:
            states += [x, *(self.hidden_states(of_layer, context) for of_layer in handed_on or ())]
        if global_states is not None:
            global_states.append(self.final_norm(self.global_hidden_states(state, context)))
        normed: Tensor = self.final_norm(self.hidden_states(state, context))
        return normed

    def build_embeddings(self, config: EncoderConfig) -> Embeddings:
        """What makes hidden states of token ids."""
        return Embeddings(config)

    def attention_context(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor, annotations: TokenAnnotations
    ) -> ContextT:
        """What the layers share of a batch.

        Args:
            x: the embeddings <float>[B, L, C].
            positions, padding_mask, annotations: as :meth:`forward`'s.
        """
        raise NotImplementedError

    def initial_state(self, x: Tensor, context: ContextT) -> StateT:
        """What the first layer reads, made of the embeddings <float>[B, L, C]."""
        raise NotImplementedError

    def hidden_states(self, state: StateT, context: ContextT) -> Tensor:
        """The tokens' <float>[B, L, C] in what a layer hands on."""
        raise NotImplementedError

    def global_hidden_states(self, state: StateT, context: ContextT) -> Tensor:
        """The <float>[B, G, C] of global tokens beside the text in what a layer hands on."""
        raise NotImplementedError


class OneStreamEncoder(Encoder[ContextT, Tensor, InternalsT]):
    """An encoder whose layers hand on X alone."""

    def initial_state(self, x: Tensor, context: ContextT) -> Tensor:
        return context.unpad(x)

    def hidden_states(self, state: Tensor, context: ContextT) -> Tensor:
        return context.pad(state)


def reset_linear(module: nn.Module) -> None:
    """Normal linear weights with deviation 1/√fan-in, which keeps the size of what goes through, at any width."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
