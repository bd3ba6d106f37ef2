"""The one loop over layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fairseq_littlebird.modules.attention.context import AttentionContext

StateT = TypeVar("StateT", bound="Tensor | tuple[Tensor, ...]")
InternalsT = TypeVar("InternalsT")


class LayerStack(nn.ModuleList, Generic[StateT, InternalsT]):
    """Layers that hand on a state: hidden states X, a pair of streams (P, X), [Y ; X], or what a decoder carries.

    A layer takes the state, the context and whether its internals are wanted, and returns the next state and its
    attention internals, or None for them.

    Args:
        layers: in order.
        layerdrop: probability of skipping a layer in training.
        checkpoint_activations: recompute each layer in the backward pass.
    """

    def __init__(
        self, layers: Iterable[nn.Module] = (), layerdrop: float = 0.0, checkpoint_activations: bool = False
    ) -> None:
        super().__init__(layers)
        self.layerdrop, self.checkpoint_activations = layerdrop, checkpoint_activations

    def forward(
        self,
        state: StateT,
        context: AttentionContext,
        states: list[StateT] | None = None,
        internals: list[InternalsT] | None = None,
    ) -> StateT:
        """
        Args:
            state: what the first layer reads.
            context: what all layers share of the batch.
            states: a list to add what each layer hands on to.
            internals: a list to add each layer's attention internals to.
        Returns:
            what the last layer hands on.
        """
        for layer in self:
            if self.training and self.layerdrop and torch.rand(()) < self.layerdrop:
                continue
            wanted = internals is not None
            if self.training and self.checkpoint_activations:
                state, of_layer = checkpoint(layer, state, context, wanted, use_reentrant=False)
            else:
                state, of_layer = layer(state, context, wanted)
            if states is not None:
                states.append(state)
            if internals is not None:
                internals.append(of_layer)
        return state
