"""Dropout from raw bits."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.attention.common.dropout import dropout, keep_mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_and_scale(dtype, p):
    x = torch.ones(300, 701, dtype=dtype)
    torch.manual_seed(0)
    y = dropout(x, p)
    kept = y != 0
    assert y.dtype == dtype and y.shape == x.shape
    assert abs(float(kept.float().mean()) - (1 - p)) < 5 * (p * (1 - p) / x.numel()) ** 0.5
    torch.testing.assert_close(y[kept].float(), torch.full_like(y[kept], 1 / (1 - p)).float(), rtol=1e-2, atol=0)


def test_the_gradient_has_the_same_mask():
    x = torch.randn(2, 50, 33, requires_grad=True)
    y = dropout(x, 0.3)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient * x, y)


def test_the_seed_decides():
    x = torch.ones(1000)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(dropout(x, 0.5))
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert not torch.equal(dropout(x, 0.5), dropout(x, 0.5))


def test_off_outside_training_and_at_zero():
    x = torch.randn(5)
    assert dropout(x, 0.5, training=False) is x and dropout(x, 0.0) is x


def test_elements_are_independent():
    """Neither neighbours nor the four elements of one draw go together."""
    mask = keep_mask(torch.empty(400_000), 0.5, torch.Generator().manual_seed(0)) > 0
    for shift in (1, 2, 3, 4, 8):
        together = float((mask == mask.roll(shift)).float().mean())
        assert abs(together - 0.5) < 0.005


def test_layout_does_not_matter():
    x = torch.randn(4, 6, 8).transpose(0, 2)
    torch.manual_seed(3)
    one = dropout(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(one, dropout(x.contiguous(), 0.5))
