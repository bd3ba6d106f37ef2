"""The loop over layers, whatever they hand on."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import nn

from fairseq_littlebird.modules.attention import AttentionContext
from fairseq_littlebird.modules.layer_stack import LayerStack


class Pair(NamedTuple):
    x: torch.Tensor
    p: torch.Tensor


class OneStream(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.calls = nn.Linear(3, 3), 0

    def forward(self, x, context, with_internals):
        self.calls += 1
        y = self.linear(x).tanh()
        return y, y * 2 if with_internals else None


class TwoStreams(OneStream):
    def forward(self, state, context, with_internals):
        y, internals = super().forward(state.x + state.p, context, with_internals)
        return Pair(y, state.x), internals


STATES = {OneStream: torch.ones(2, 3), TwoStreams: Pair(torch.ones(2, 3), torch.zeros(2, 3))}


def stack(layer, **options):
    torch.manual_seed(0)
    return LayerStack([layer() for _ in range(4)], **options)


def first(state):
    return state if isinstance(state, torch.Tensor) else state.x


@pytest.mark.parametrize("layer", STATES)
def test_layers_follow_one_another(layer):
    layers, state = stack(layer), STATES[layer]
    states, internals = [], []
    result = layers(state, AttentionContext(), states, internals)
    for n, module in enumerate(layers):
        state, of_layer = module(state, AttentionContext(), True)
        assert torch.equal(first(states[n]), first(state)) and torch.equal(internals[n], of_layer)
    assert torch.equal(first(result), first(state)) and len(states) == len(internals) == 4
    assert torch.equal(first(result), first(layers(STATES[layer], AttentionContext())))
    assert [name for name, _ in layers.named_parameters()][:2] == ["0.linear.weight", "0.linear.bias"]


@pytest.mark.parametrize("layer", STATES)
def test_layers_are_computed_again_in_the_backward_pass(layer):
    gradients = []
    for again in (False, True):
        layers, states = stack(layer, checkpoint_activations=again).train(), []
        first(layers(STATES[layer], AttentionContext(), states)).sum().backward()
        assert len(states) == 4 and all(module.calls == 1 + again for module in layers)
        gradients.append([parameter.grad for parameter in layers.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


@pytest.mark.parametrize("layer", STATES)
def test_layers_are_skipped_in_training_alone(layer):
    layers, states = stack(layer, layerdrop=0.5), []
    layers.train()
    for _ in range(200):
        layers(STATES[layer], AttentionContext(), states)
    assert 300 < len(states) < 500  # of 800; two thousand to one
    layers.eval()(STATES[layer], AttentionContext(), states := [])
    assert len(states) == 4
    everything = stack(layer, layerdrop=1.0).train()(STATES[layer], AttentionContext())
    assert torch.equal(first(everything), first(STATES[layer]))
