"""LayerNorm in half precision on a CPU, against float32 of the same numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fairseq_littlebird.layer_norm import LayerNorm

TOKENS, WIDTH = 8192, 64


def gradients(norm, x, grad):
    """Of the states, the weight and the bias if there is one, as float32."""
    x = x.clone().requires_grad_()
    return [t.float() for t in torch.autograd.grad(norm(x), [x, *norm.parameters()], grad)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 0.01), (torch.float16, 0.002)])
def test_gradients_are_those_of_float32(dtype, error, bias):
    norm = LayerNorm(WIDTH, bias=bias)
    nn.init.normal_(norm.weight, 1, 0.1)
    x, grad = torch.randn(TOKENS, WIDTH).to(dtype), (torch.randn(TOKENS, WIDTH) + 0.1).to(dtype)
    half = gradients(norm.to(dtype), x, grad)
    whole = gradients(norm.float(), x.float(), grad.float())
    for got, wanted in zip(half, whole, strict=True):
        assert (got - wanted).norm() < error * wanted.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_and_parameters_are_those_of_pytorch(dtype):
    ours, theirs = LayerNorm(WIDTH, 1e-3).to(dtype), nn.LayerNorm(WIDTH, 1e-3).to(dtype)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 5, WIDTH).to(dtype)
    result = ours(x)
    assert result.dtype == dtype and result.shape == x.shape
    torch.testing.assert_close(result, theirs(x))
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))
