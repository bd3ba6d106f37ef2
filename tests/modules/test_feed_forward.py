"""The second half of a layer in pieces, against its modules one after another."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fairseq_littlebird.modules import feed_forward
from fairseq_littlebird.modules.feed_forward import (
    FeedForward,
    feed_forward_of_normed,
    normed_feed_forward,
)


@pytest.fixture
def half(monkeypatch):
    monkeypatch.setattr(feed_forward, "CHUNK_SIZE", 4)
    torch.manual_seed(0)
    modules = nn.LayerNorm(6), FeedForward(6, 10), nn.LayerNorm(6)
    for module in modules:
        module.double()
        for parameter in module.parameters():
            parameter.data.normal_()
    return modules


def plain(r, attention_norm, ffn, ffn_norm):
    a = attention_norm(r)
    return ffn_norm(ffn(a) + a)


@pytest.mark.parametrize("shape", [(1, 6), (3, 6), (4, 6), (9, 6), (2, 7, 6)])
def test_equals_the_modules(half, shape):
    r = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    wanted = [r, *(p for module in half for p in module.parameters())]
    upstream = torch.randn(shape, dtype=torch.float64)
    actual, expected = normed_feed_forward(r, *half, 0.0), plain(r, *half)
    torch.testing.assert_close(actual, expected)
    for one, other in zip(*(torch.autograd.grad(x, wanted, upstream) for x in (actual, expected)), strict=True):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close(normed_feed_forward(r, *half, 0.0), expected)


def test_gradients_belong_to_the_same_dropout(half):
    def function(r):
        torch.manual_seed(1)
        return normed_feed_forward(r, *half, 0.4)

    r = torch.randn(9, 6, dtype=torch.float64, requires_grad=True)
    assert not torch.equal(function(r), plain(r, *half))
    assert torch.autograd.gradcheck(function, r)


def test_no_rows_give_no_gradient(half):
    """A batch of padding alone: what memory held before must not become a gradient."""
    torch.use_deterministic_algorithms(True)  # fills new memory with NaN
    try:
        normed_feed_forward(torch.zeros(0, 6, dtype=torch.float64), *half, 0.0).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert all((p.grad == 0).all() for module in half for p in module.parameters())


def test_frozen_parameters_need_no_gradient(half):
    for module in half:
        module.requires_grad_(False)
    r = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    actual, expected = (
        torch.autograd.grad(f.sin().sum(), r)[0] for f in (normed_feed_forward(r, *half, 0.0), plain(r, *half))
    )
    torch.testing.assert_close(actual, expected)


def test_what_is_kept_for_the_backward_pass(half):
    """r, W₁ A, and FFN(A) + A: not A, gelu(W₁ A) and FFN(A)."""
    kept = []
    r = torch.randn(50, 6, dtype=torch.float64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        normed_feed_forward(r, *half, 0.0)
    assert sum(t.numel() for t in kept if t.shape[:1] == (50,)) == 50 * (6 + 10 + 6)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("shape", [(3, 6), (4, 6), (9, 6), (2, 7, 6), (0, 6)])
def test_norms_before_equal_the_modules(half, shape, gated):
    norm, ffn = half[0], FeedForward(6, 10, gated=gated).double()
    a = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    wanted = [a, *norm.parameters(), *ffn.parameters()]
    upstream = torch.randn(shape, dtype=torch.float64)
    actual, expected = feed_forward_of_normed(a, ffn, norm, 0.0), ffn(norm(a)) + a
    torch.testing.assert_close(actual, expected)
    for one, other in zip(*(torch.autograd.grad(x, wanted, upstream) for x in (actual, expected)), strict=True):
        torch.testing.assert_close(one, other)


def test_norms_before_make_no_inner_state_of_all_tokens(half, largest_tensor):
    norm, ffn, _ = half
    with torch.no_grad(), largest_tensor() as mode:
        feed_forward_of_normed(torch.randn(64, 6, dtype=torch.float64), ffn, norm, 0.0)
    assert mode.numel == 64 * 6


@pytest.mark.parametrize("own", [{"activation": "relu"}, {"activation": "gelu_tanh"}, {"bias": False}])
def test_other_activations_equal_the_modules(half, own):
    attention_norm, _, ffn_norm = half
    r = torch.randn(2, 7, 6, dtype=torch.float64)
    for gated in (False, True):
        ffn = FeedForward(6, 10, gated=gated, **own).double()
        actual = normed_feed_forward(r, attention_norm, ffn, ffn_norm, 0.0)
        torch.testing.assert_close(actual, plain(r, attention_norm, ffn, ffn_norm))


@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 0.012), (torch.float16, 0.003)])
def test_gradients_of_many_tokens_in_half_precision(dtype, error):
    """Those of float32, whatever the number of tokens that are summed."""
    modules = nn.ModuleList([nn.LayerNorm(32), FeedForward(32, 64), nn.LayerNorm(32)]).to(dtype)
    r, upstream = torch.randn(8192, 32).to(dtype), (torch.randn(8192, 32) + 0.1).to(dtype)
    found = []
    for wide in (dtype, torch.float32):
        modules.to(wide)
        states = r.to(wide).requires_grad_()
        result = normed_feed_forward(states, *modules, 0.0)
        found.append(torch.autograd.grad(result, [states, *modules.parameters()], upstream.to(wide)))
    for half, whole in zip(*found, strict=True):
        assert half.dtype == dtype and (half.float() - whole).norm() < error * whole.norm()
