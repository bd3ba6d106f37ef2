"""Pack attention with its projections absorbed, against the plain form: results and every gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_littlebird.attention import absorbed_pack_attention, pack_attention
from fairseq_littlebird.attention.littlebird import absorbed_pack as module

NAMES = ("pack_q", "x", "key_weight", "key_bias", "value_weight", "value_bias")


def make(B=2, L=11, H=2, S=3, D=4, seed=0, dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)
    C = H * D
    shapes = (B, H, S, D), (B, L, C), (C, C), (C,), (C, C), (C,)
    tensors = (torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype) for shape in shapes)
    return [t.requires_grad_() for t in tensors]


def plain(pack_q, x, key_weight, key_bias, value_weight, value_bias, padding_mask):
    H = pack_q.shape[1]
    k, v = (
        torch.nn.functional.linear(x, weight, bias).unflatten(2, (H, -1)).transpose(1, 2)
        for weight, bias in ((key_weight, key_bias), (value_weight, value_bias))
    )
    return pack_attention(pack_q, k, v, padding_mask)


def padding_of(kind, B, L, seed):
    index = torch.arange(L)[None]
    widths = torch.randint(0, L, (B, 1), generator=torch.Generator().manual_seed(seed))
    return {
        "none": None,
        "left": index < widths,
        "right": index >= L - widths,
        "all of a row": (index < widths) | (torch.arange(B)[:, None] == 0),
    }[kind]


@settings(max_examples=60)
@given(
    L=st.integers(1, 40),
    S=st.sampled_from([1, 3, 8]),
    piece=st.sampled_from([1, 7, 16, 1024]),
    padding=st.sampled_from(["none", "left", "right", "all of a row"]),
    kept=st.sampled_from([0, 2048]),
    seed=st.integers(0, 2**16),
)
def test_equals_pack_attention(L, S, piece, padding, kept, seed):
    inputs = make(L=L, S=S, seed=seed)
    mask = padding_of(padding, 2, L, seed)
    usual = module.CHUNK_SIZE, module.MAX_KEPT_SCORES
    module.CHUNK_SIZE, module.MAX_KEPT_SCORES = piece, kept
    try:
        actual, expected = absorbed_pack_attention(*inputs, mask), plain(*inputs, mask)
        torch.testing.assert_close(actual, expected)
        upstream = torch.randn_like(expected)
        gradients = (torch.autograd.grad(result, inputs, upstream) for result in (actual, expected))
        for name, one, other in zip(NAMES, *gradients, strict=True):
            torch.testing.assert_close(one, other, msg=lambda text, name=name: f"{name}: {text}")
    finally:
        module.CHUNK_SIZE, module.MAX_KEPT_SCORES = usual


@pytest.mark.parametrize("kept", [0, 2048])
@pytest.mark.parametrize("dropout_p", [0.0, 0.4])
def test_gradcheck(dropout_p, kept, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_SIZE", 4)
    monkeypatch.setattr(module, "MAX_KEPT_SCORES", kept)
    mask = padding_of("right", 2, 9, 3)

    def function(*tensors):
        torch.manual_seed(5)
        return absorbed_pack_attention(*tensors, mask, dropout_p)

    assert torch.autograd.gradcheck(function, make(L=9))


def test_dropout_keeps_the_mean_and_the_values_bias():
    """With equal values everywhere the result is how much of the weights is left, whose mean is 1."""
    inputs = make(B=1, L=64, S=4)
    inputs[4] = torch.zeros_like(inputs[4])
    torch.manual_seed(0)
    runs = torch.stack(
        [absorbed_pack_attention(*inputs, None, 0.3).detach() / inputs[5].view(1, 2, 1, 4) for _ in range(400)]
    )
    assert runs.std() > 0.05
    assert (runs.mean() - 1).abs() < 0.02


def test_without_gradients_nothing_of_the_length_is_made(largest_tensor):
    L, M, C = 8192, 8, 8
    queries, x = torch.randn(1, M, C), torch.randn(1, L, C)
    forward = module._mix._init_fn  # what runs inside the operator, which a recorder does not look into
    with largest_tensor() as mode:
        forward(queries, x, None, 0.5, 0.1, torch.tensor(1), False)
    assert mode.numel == max(x.numel(), M * module.CHUNK_SIZE)  # x, and a buffer


@pytest.mark.parametrize("up_to", [49, 50])
def test_of_short_inputs_the_scores_are_kept(up_to, monkeypatch):
    monkeypatch.setattr(module, "MAX_KEPT_SCORES", up_to)
    kept = []
    inputs = make(B=1, L=50, H=2, S=3, D=4)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        absorbed_pack_attention(*inputs)
    of_length = {t.data_ptr(): t.numel() for t in kept if 50 in t.shape and t.numel()}
    of_length = sorted(of_length.values())
    assert of_length == [50 * 2 * 3] * (up_to == 50) + [50 * 2 * 4]  # the scores, and x
