"""Longformer's attention: the definition, the dense reference, and the blocks against it with every gradient."""

from __future__ import annotations

import inspect
import math
from importlib.util import find_spec

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_littlebird.attention.common.blocks import MAX_BLOCK_SIZE, MIN_BLOCK_SIZE
from fairseq_littlebird.attention.longformer import dense_longformer_attention, longformer_attention

TENSORS = ("q", "k", "v", "global_q", "global_k", "global_v")
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 2e-2}
SHAPES = {
    "L": st.one_of(st.sampled_from([1, 2, 31, 32, 33, 63, 64, 65, 111]), st.integers(1, 150)),
    "window": st.sampled_from([2, 4, 6, 32, 50, 128, 600]),
    "dilations": st.sampled_from([(1, 1, 1), (2, 2, 2), (1, 2, 3), (3, 1, 3), (1, 1, 7)]),
    "chosen": st.sampled_from(["None", "none", "first", "some", "all"]),
    "padding": st.sampled_from(["none", "right", "anywhere", "all of a row"]),
    "seed": st.integers(0, 2**16),
}


def make_inputs(L=9, dilations=(1, 2), chosen="some", padding="right", seed=0, window=4, B=3, D=4, dtype=torch.float64):
    """Random arguments of ``longformer_attention`` by name; the last row is never padded to the right."""
    rng = torch.Generator().manual_seed(seed)
    index, H = torch.arange(L), len(dilations)
    lengths = torch.randint(1, L + 1, (B, 1), generator=rng)
    lengths[-1] = L
    mask = {
        "none": None,
        "right": index >= lengths,
        "anywhere": torch.rand(B, L, generator=rng) < 0.3,
        "all of a row": (index >= lengths) | (torch.arange(B) == 0)[:, None],
    }[padding]
    some = torch.rand(B, L, generator=rng) < torch.rand(B, 1, generator=rng) * 0.4
    tokens = {
        "None": None,
        "none": torch.zeros(B, L, dtype=torch.bool),
        "first": (index == 0).expand(B, L),
        "some": some,
        "all": torch.ones(B, L, dtype=torch.bool),
    }[chosen]
    G = 0 if tokens is None else int(tokens.sum(1).max())
    sizes = dict(zip(TENSORS, (L, L, L, G, L if G else 0, L if G else 0), strict=True))
    tensors = {
        name: torch.randn(B, H, size, D, generator=rng, dtype=torch.float64).to(dtype) for name, size in sizes.items()
    }
    return tensors | {"global_tokens": tokens, "padding_mask": mask, "window": window, "dilations": dilations}


def gradients(function, inputs, **options):
    """The result, and the gradient of every tensor for one random gradient of it."""
    leaves = {name: inputs[name].detach().clone().requires_grad_() for name in TENSORS}
    result = function(**inputs | leaves, **options)
    upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    result.backward(upstream.to(result.dtype))
    assert all(leaf.grad is not None for leaf in leaves.values())
    return {"result": result.detach()} | {name: leaf.grad for name, leaf in leaves.items()}


def compare(inputs, dtype):
    actual = gradients(longformer_attention, inputs)
    assert actual["result"].dtype == dtype
    wide = inputs | {name: inputs[name].double() for name in TENSORS}
    for name, wanted in gradients(dense_longformer_attention, wide).items():
        error = float((actual[name].double() - wanted).norm())
        assert error <= TOLERANCES[dtype] * (float(wanted.norm()) + 0.1), f"{name}: off by {error}"


def literal_attention(
    q, k, v, global_q, global_k, global_v, global_tokens, padding_mask, window, dilations, dropout_p=0.0
):
    """The definition, one pair of tokens at a time."""
    B, H, L, D = q.shape
    result = torch.zeros_like(q)
    for n in range(B):
        chosen = [] if global_tokens is None else [i for i in range(L) if global_tokens[n, i]]
        unpadded = [j for j in range(L) if padding_mask is None or not padding_mask[n, j]]
        for h in range(H):
            reach = {dilations[h] * step for step in range(-window // 2, window // 2 + 1)}
            for i in range(L):
                if i in chosen:
                    query, keys, values = global_q[n, h, chosen.index(i)], global_k[n, h], global_v[n, h]
                    seen = unpadded
                else:
                    query, keys, values = q[n, h, i], k[n, h], v[n, h]
                    seen = [j for j in unpadded if j in chosen or j - i in reach]
                weights = [math.exp(float(query @ keys[j]) / math.sqrt(D)) for j in seen]
                for weight, j in zip(weights, seen, strict=True):
                    result[n, h, i] += weight / sum(weights) * values[j]
    return result


@pytest.mark.parametrize("chosen", ["None", "first", "some", "all"])
@pytest.mark.parametrize("padding", ["none", "right", "all of a row"])
def test_the_dense_reference_is_the_definition(chosen, padding):
    for seed in range(3):
        inputs = make_inputs(11, (1, 3), chosen, padding, seed)
        torch.testing.assert_close(dense_longformer_attention(**inputs), literal_attention(**inputs))


@settings(max_examples=150)
@given(**SHAPES)
@example(L=1, window=2, dilations=(1, 2, 3), chosen="all", padding="all of a row", seed=0)
@example(L=63, window=600, dilations=(1, 1, 7), chosen="some", padding="anywhere", seed=1)
@example(L=111, window=6, dilations=(1, 2, 3), chosen="some", padding="right", seed=2)
@example(L=150, window=50, dilations=(3, 1, 3), chosen="all", padding="anywhere", seed=3)
@example(L=150, window=32, dilations=(1, 1, 1), chosen="None", padding="none", seed=4)
def test_float64_equals_the_oracle(L, window, dilations, chosen, padding, seed):
    compare(make_inputs(L, dilations, chosen, padding, seed, window), torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@settings(max_examples=25)
@given(**SHAPES)
def test_narrower_types_equal_the_oracle(dtype, L, window, dilations, chosen, padding, seed):
    compare(make_inputs(L, dilations, chosen, padding, seed, window, dtype=dtype), dtype)


def test_blocks_at_their_largest():
    """A radius that is no block's size, in more blocks than one."""
    radius = MAX_BLOCK_SIZE + 44
    compare(make_inputs(2 * MAX_BLOCK_SIZE + 70, (1,), "first", "right", 5, 2 * radius, B=2), torch.float64)
    assert MIN_BLOCK_SIZE < MAX_BLOCK_SIZE < radius


def test_both_paths_have_one_signature():
    assert inspect.signature(longformer_attention) == inspect.signature(dense_longformer_attention)


def test_gradcheck():
    """Derivatives against differences of the function itself, without the oracle."""
    inputs = make_inputs(7, (1, 2), "some", "right", 3, B=2, D=2)
    leaves = [inputs[name].requires_grad_() for name in TENSORS]
    assert leaves[3].shape[2] > 0

    def function(*tensors):
        return longformer_attention(**inputs | dict(zip(TENSORS, tensors, strict=True)))

    assert torch.autograd.gradcheck(function, leaves)


@pytest.mark.parametrize("chosen", ["None", "none"])
def test_without_global_tokens_nothing_is_global(chosen):
    """And what came in empty has an empty gradient, so the maps that made it have one too."""
    inputs = make_inputs(33, (1, 2), chosen, "right")
    assert inputs["global_k"].shape[2] == 0
    everything = inputs | {name: torch.randn(3, 2, 33, 4, dtype=torch.float64) for name in ("global_k", "global_v")}
    assert torch.equal(longformer_attention(**inputs), longformer_attention(**everything))
    gradients(longformer_attention, inputs)


def test_a_global_token_is_counted_once():
    """With equal scores a row is the mean of what it sees."""
    inputs = make_inputs(9, (1,), "None", "none", D=9, B=1)
    inputs |= {"q": torch.zeros(1, 1, 9, 9).double(), "v": torch.eye(9).double()[None, None]}
    tokens = torch.zeros(1, 9, dtype=torch.bool)
    tokens[0, [3, 8]] = True
    inputs |= {"global_tokens": tokens, "global_q": inputs["q"][:, :, :2], "global_k": inputs["k"]}
    inputs |= {"global_v": 2 * inputs["v"]}
    row = longformer_attention(**inputs)[0, 0]
    torch.testing.assert_close(row[4], torch.tensor([0, 0, 1, 1, 1, 1, 1, 0, 1]).double() / 6)
    torch.testing.assert_close(row[0], torch.tensor([1, 1, 1, 1, 0, 0, 0, 0, 1]).double() / 5)
    torch.testing.assert_close(row[3], torch.full((9,), 2 / 9).double())


def test_padding_content_never_matters():
    inputs = make_inputs(50, (1, 2), "some", "anywhere", dtype=torch.float32, window=8)
    padding, noisy = inputs["padding_mask"], dict(inputs)
    for name in ("q", "k", "v", "global_k", "global_v"):
        noisy[name] = inputs[name] + padding[:, None, :, None] * torch.randn_like(inputs[name]) * 1e4
    real = (~padding)[:, None, :, None].expand_as(inputs["q"])
    one, other = longformer_attention(**inputs), longformer_attention(**noisy)
    assert torch.equal(one[real], other[real]) and not torch.equal(one, other)


@settings(max_examples=30)
@given(n=st.integers(1, 60), more=st.integers(0, 60), chosen=SHAPES["chosen"], seed=SHAPES["seed"])
def test_batch_composition_never_matters(n, more, chosen, seed):
    """A row alone, and the same row in company that makes it longer and has more global tokens."""
    together = make_inputs(n + more, (1, 2), chosen, "none", seed, window=10)
    together["padding_mask"] = torch.zeros(3, n + more, dtype=torch.bool)
    together["padding_mask"][0, n:] = True
    alone = {name: together[name][:1, :, :n] for name in TENSORS} | {"window": 10, "dilations": (1, 2)}
    tokens = together["global_tokens"]
    own = 0
    if tokens is not None:
        tokens[0, n:] = False
        own, tokens = int(tokens[0].sum()), tokens[:1, :n]
    alone |= {"global_tokens": tokens, "padding_mask": None, "global_q": together["global_q"][:1, :, :own]}
    torch.testing.assert_close(longformer_attention(**together)[:1, :, :n], longformer_attention(**alone))


def test_a_row_of_padding_is_zero_with_finite_gradients():
    values = gradients(longformer_attention, make_inputs(40, (1, 2), "some", "all of a row"))
    assert all(t.isfinite().all() for t in values.values())
    assert (values["result"][0] == 0).all() and values["result"][1].any()
    assert all((values[name][0] == 0).all() for name in TENSORS)


def test_the_same_again():
    inputs = make_inputs(70, (1, 3), "some", "right", dtype=torch.float32)
    one, other = gradients(longformer_attention, inputs), gradients(longformer_attention, inputs)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("function", [longformer_attention, dense_longformer_attention])
class TestDropout:
    """The matrix that v is multiplied by is visible with v = 1 (the identity) and L = D."""

    def matrix(self, function, seed, p):
        inputs = make_inputs(24, (1, 2), "first", "right", D=24, window=12)
        inputs |= {name: torch.eye(24).double().expand(3, 2, 24, 24) for name in ("v", "global_v")}
        torch.manual_seed(seed)
        return function(**inputs, dropout_p=p)

    def test_each_probability_is_kept_and_scaled_or_zero(self, function):
        plain, dropped = self.matrix(function, 0, 0.0), self.matrix(function, 0, 0.25)
        kept = dropped != 0
        torch.testing.assert_close(dropped[kept], plain[kept] / 0.75)
        for rows in (slice(0, 1), slice(1, None)):  # global, and all others
            visible = plain[:, :, rows] > 0
            share = float((visible & ~kept[:, :, rows]).sum() / visible.sum())
            assert abs(share - 0.25) < (0.15 if rows.stop else 0.04)

    def test_seed_decides(self, function):
        assert torch.equal(self.matrix(function, 5, 0.25), self.matrix(function, 5, 0.25))
        assert not torch.equal(self.matrix(function, 5, 0.25), self.matrix(function, 6, 0.25))


@pytest.mark.parametrize("dropout_p", [0.0, 0.1])
def test_nothing_is_quadratic_in_the_length(largest_tensor, dropout_p):
    largest = {}
    for L in (2048, 4096):
        inputs = make_inputs(L, (1, 2), "first", "right", B=1, window=64, dtype=torch.float32)
        with largest_tensor() as mode:
            gradients(longformer_attention, inputs, dropout_p=dropout_p)
        largest[L] = mode.numel
    assert largest[4096] <= 2.1 * largest[2048]
    assert largest[4096] < 4096 * 4096 / 8
    with largest_tensor() as mode:  # the recorder does see a quadratic path
        gradients(dense_longformer_attention, make_inputs(512, (1,), "first", B=1))
    assert mode.numel >= 512 * 512


@pytest.fixture(scope="module")
def peer():
    """transformers' layer with random weights, and what its model would tell it of a batch."""
    if find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    from transformers import LongformerConfig
    from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

    torch.manual_seed(0)
    config = LongformerConfig(
        hidden_size=12, num_attention_heads=3, attention_window=[8], num_hidden_layers=1, intermediate_size=8
    )
    layer = LongformerSelfAttention(config, 0).double().eval()

    def run(x, tokens, padding):
        mask = torch.zeros(padding.shape, dtype=torch.float64)
        mask = mask.masked_fill(tokens, 10000.0).masked_fill(padding, -10000.0)
        chosen = mask > 0
        return layer(x, mask, mask < 0, chosen, bool(chosen.any()))[0]

    return layer, run


@pytest.mark.parametrize("most", [0, 1, 5, 32])
def test_the_released_layer_computes_the_same(peer, most):
    layer, run = peer
    x = torch.randn(3, 32, 12, dtype=torch.float64)
    tokens, padding = torch.zeros(3, 32, dtype=torch.bool), torch.zeros(3, 32, dtype=torch.bool)
    for row, count in enumerate((most, most // 2, most)):
        tokens[row, torch.randperm(32)[:count]] = True
    padding[1, 20:] = True
    padding[2, 9:] = True
    tokens &= ~padding
    G = int(tokens.sum(1).max())
    apart = torch.zeros(3, G, 12, dtype=torch.float64)
    for row in range(3):
        apart[row, : tokens[row].sum()] = x[row, tokens[row]]

    def heads(of):
        return of.unflatten(-1, (3, 4)).transpose(1, 2)

    own = (heads(project(x)) for project in (layer.query, layer.key, layer.value))
    others = (heads(layer.query_global(apart)), heads(layer.key_global(x)), heads(layer.value_global(x)))
    result = longformer_attention(*own, *others, tokens, padding, 8, (1, 1, 1)).transpose(1, 2).flatten(2)
    torch.testing.assert_close(result[~padding], run(x, tokens, padding)[~padding])
