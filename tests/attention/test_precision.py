"""Half precision where it is hard: gaps of 100,000 positions, slopes of 100, padding of whole rows, large products."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fairseq_littlebird.attention import dense_unpack_window_attention, pack_attention, unpack_window_attention
from fairseq_littlebird.attention.bigbird import bigbird_attention, dense_bigbird_attention, random_blocks
from fairseq_littlebird.attention.bigbird.gathered import gathered_bigbird_attention
from fairseq_littlebird.attention.causal_littlebird import (
    CausalBiALiBi,
    causal_block_window_attention,
    dense_causal_block_window_attention,
)
from fairseq_littlebird.attention.causal_window import (
    alibi_bias,
    causal_window_attention,
    dense_causal_window_attention,
)
from fairseq_littlebird.attention.etc import dense_etc_attention, etc_attention
from fairseq_littlebird.attention.etc.labels import owners, without_tokens
from fairseq_littlebird.attention.longformer import dense_longformer_attention, longformer_attention

BACKENDS = ("blockwise", "unfolded", "dense")
HALVES = (torch.float16, torch.bfloat16)
pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


def far(tools, dtype, slope, S, L=70, size=1.0):
    """Three rows, of 60 tokens of padding, of padding alone, and of 7; a gap of 100,000 behind one token in five.

    The second head's slopes are half of the first's.
    """
    inputs = tools.make_inputs(3, 2, L, 8, S, left=(0, L, 0), right=(60, 0, 7), dtype=dtype)
    rng = torch.Generator().manual_seed(0)
    inputs["positions"] = torch.arange(L) + 100_000 * (torch.rand(3, L, generator=rng) < 0.2).cumsum(1)
    for name in ("q", "k", "pack_k"):
        inputs[name] = inputs[name] * size
    for parameter in inputs["slopes"].parameters():
        parameter.data = torch.tensor([slope, slope / 2])
    inputs["slopes"].to(dtype)  # as fairseq makes them
    return inputs


@pytest.mark.parametrize("S", [0, 5])
@pytest.mark.parametrize("slope", [0.01, 8.0, 100.0])
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_far_positions_and_large_slopes(tools, backend, dtype, slope, S):
    """Results and all gradients, those of the slopes included, are the oracle's to the precision of the inputs."""
    inputs = far(tools, dtype, slope, S)
    actual = tools.gradients(unpack_window_attention, inputs, dtype, block_size=16, backend=backend)
    expected = tools.gradients(dense_unpack_window_attention, tools.in_float64(inputs), dtype, block_size=16)
    tools.assert_close(actual, expected, 2e-2)
    assert S or (actual["result"][1] == 0).all()


@pytest.mark.parametrize("slope", [-8.0, -100.0])
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_slopes_that_draw_far_keys_near_stay_finite(tools, backend, dtype, slope):
    """Scores of 10^8, which float32 rounds to tens: no figure is left to compare, but none is lost either."""
    inputs = far(tools, dtype, slope, 5)
    values = tools.gradients(unpack_window_attention, inputs, dtype, block_size=16, backend=backend)
    assert all(value.isfinite().all() for value in values.values())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", HALVES)
def test_products_past_the_largest_float16(tools, backend, dtype):
    inputs = far(tools, dtype, 0.5, 5, size=200.0)
    assert (inputs["q"].float() @ inputs["k"].float().transpose(2, 3)).max() > torch.finfo(torch.float16).max
    result = unpack_window_attention(**inputs, block_size=16, backend=backend)
    wanted, _ = dense_unpack_window_attention(**tools.in_float64(inputs), block_size=16)
    real = ~inputs["padding_mask"][:, None, :, None]
    torch.testing.assert_close((result * real).double(), wanted * real, rtol=0, atol=2e-2)


@pytest.mark.parametrize("dtype", HALVES)
def test_flex_in_half_precision(tools, dtype):
    inputs = far(tools, dtype, 8.0, 5)
    with torch.no_grad():
        result = unpack_window_attention(**inputs, block_size=16, backend="flex")
    wanted, _ = dense_unpack_window_attention(**tools.in_float64(inputs), block_size=16)
    torch.testing.assert_close(result.double(), wanted, rtol=0, atol=2e-2)


@pytest.mark.parametrize("first", [100_001, 2**24 + 1, 2**40 + 1])
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("backend", [*BACKENDS, "flex"])
def test_neighbours_are_one_apart_wherever_they_stand(tools, backend, dtype, first):
    """With equal scores and a slope of 1 a weight tells its distance; float32 does not know 2^24 + 1."""
    inputs = tools.make_inputs(1, 1, 8, 8, 0, dtype=dtype)
    inputs |= {"q": torch.zeros_like(inputs["q"]), "v": torch.eye(8, dtype=dtype)[None, None]}
    inputs["positions"] = first + torch.arange(8)[None]
    for name, value in (("alpha", 0.0), ("beta", 1.0), ("gamma", 1.0)):
        getattr(inputs["slopes"], name).data = torch.tensor([value], dtype=dtype)
    weights = unpack_window_attention(**inputs, block_size=8, backend=backend)[0, 0, 1:, 1:]
    index = torch.arange(1, 8)
    wanted = torch.softmax(-torch.cat([torch.zeros(7, 1), (index[:, None] - index).abs()], dim=1), dim=1)[:, 1:]
    torch.testing.assert_close(weights.float(), wanted, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_under_autocast(tools, backend, half):
    """Projections come in half precision, slopes in float32."""
    inputs = far(tools, torch.float32, 100.0, 5)
    halves = inputs | {name: inputs[name].to(half) for name in ("q", "k", "v", "pack_k", "pack_v")}
    with torch.autocast("cpu", half):
        actual = tools.gradients(unpack_window_attention, halves, half, block_size=16, backend=backend)
    expected = tools.gradients(dense_unpack_window_attention, tools.in_float64(halves), half, block_size=16)
    assert actual["result"].dtype == half and actual["beta"].dtype == torch.float32
    tools.assert_close(actual, expected, 2e-2)


def gradients(function, inputs, names):
    """The result but at padding, and the gradient of each named tensor for one random gradient of it."""
    leaves = {name: inputs[name].detach().clone().requires_grad_() for name in names}
    result = function(**inputs | leaves)
    result = result[0] if isinstance(result, tuple) else result
    assert result.isfinite().all()
    padding = inputs["padding_mask"]
    if result.shape[2] == padding.shape[1]:  # rows are tokens: what stands there is undefined, though finite
        result = result.masked_fill(padding[:, None, :, None], 0.0)
    upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    result.backward(upstream.to(torch.bfloat16).to(result.dtype))
    return {"result": result.detach()} | {name: leaf.grad for name, leaf in leaves.items()}


def others(dtype, size):
    """Attention of other kinds: function, oracle and arguments; of 60 tokens, 50 of them or all are padding."""
    rng = torch.Generator().manual_seed(3)

    def random(length, scale=1.0):
        return (torch.randn(2, 2, length, 16, generator=rng) * scale).to(dtype)

    L, G = 60, 4
    padding = torch.arange(L) >= torch.tensor([[10], [0]])
    q, k, v = random(L, size), random(L, size), random(L)
    at = {"padding_mask": padding}
    packing = {"pack_q": random(5, size), "k": k, "v": v}
    yield "pack", pack_attention, pack_attention, packing | at
    short, long = (random_blocks("seeded", blocks, 2, 2, 1)[0] for blocks in (3, 15))
    short = F.pad(short, (0, long.shape[2] - short.shape[2], 0, 12), value=-1)
    bigbird = {"q": q, "k": k, "v": v, "block_size": 4, "random_blocks": torch.stack([short, long])} | at
    for function in (bigbird_attention, gathered_bigbird_attention):
        yield "bigbird", function, dense_bigbird_attention, bigbird
    everywhere = {"global_tokens": (torch.arange(L) < G).expand(2, L), "window": 6, "dilations": (1, 2)}
    everywhere |= {"global_q": random(G, size), "global_k": random(L, size), "global_v": random(L)}
    longformer = {"q": q, "k": k, "v": v} | everywhere | at
    yield "longformer", longformer_attention, dense_longformer_attention, longformer
    for bias in (None, alibi_bias(torch.tensor([8.0, 0.01]), (6, 6), (1, 2))):
        causal = {"q": q, "k": k, "v": v, "windows": (6, 6), "dilations": (1, 2), "bias": bias} | at
        yield "causal window", causal_window_attention, dense_causal_window_attention, causal
    slopes = CausalBiALiBi(2)
    causal = {"q": q, "k": k, "v": v, "slopes": slopes, "block_size": 8} | at
    yield "causal littlebird", causal_block_window_attention, dense_causal_block_window_attention, causal
    owner = owners(padding, G)
    seen = torch.cat([without_tokens(owner, padding, G), padding], dim=1)
    etc = {"q": random(G + L, size), "k": random(G + L, size), "v": random(G + L), "owner": owner, "padding_mask": seen}
    etc |= {"relative": torch.randn(2, 2, 9, 16, generator=rng).to(dtype), "radius": 5}
    yield "etc", etc_attention, dense_etc_attention, etc


def in_float64(inputs):
    return {name: t.double() if torch.is_tensor(t) and t.is_floating_point() else t for name, t in inputs.items()}


@pytest.mark.parametrize("dtype", HALVES)
def test_attention_of_other_kinds(dtype):
    for kind, function, oracle, inputs in others(dtype, 1.0):
        names = [name for name, t in inputs.items() if torch.is_tensor(t) and t.is_floating_point()]
        actual, wanted = gradients(function, inputs, names), gradients(oracle, in_float64(inputs), names)
        for name in actual:
            error = float((actual[name].double() - wanted[name]).norm())
            assert error <= 2e-2 * float(wanted[name].norm()), (kind, function.__name__, name)


@pytest.mark.parametrize("dtype", HALVES)
def test_attention_of_other_kinds_with_products_past_the_largest_float16(dtype):
    for kind, function, _, inputs in others(dtype, 100.0):
        names = [name for name, t in inputs.items() if torch.is_tensor(t) and t.is_floating_point()]
        queries, keys = (inputs.get(name, inputs["k"]).float() for name in ("q" if "q" in inputs else "pack_q", "k"))
        assert (queries @ keys.transpose(2, 3)).max() > torch.finfo(torch.float16).max
        values = gradients(function, inputs, names)
        assert all(value.isfinite().all() for value in values.values()), (kind, function.__name__)
