"""The paths in blocks against the float64 oracle: outputs and every gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_littlebird.attention import dense_unpack_window_attention, unpack_window_attention
from fairseq_littlebird.attention.littlebird import blockwise

BACKENDS = ("blockwise", "unfolded")
LENGTHS = st.one_of(st.sampled_from([1, 63, 64, 65, 111]), st.integers(1, 150))
BLOCK_SIZES = st.sampled_from([1, 2, 7, 16, 32, 64])
PACK_SIZES = st.sampled_from([0, 1, 32, 64])
PADDING = st.sampled_from(["none", "left", "right", "both", "all of a row"])
GAPS = st.sampled_from([0, 1, 256, -3])  # None; increasing; with repeated ids
SHAPES = {
    "L": LENGTHS,
    "b": BLOCK_SIZES,
    "S": PACK_SIZES,
    "padding": PADDING,
    "gap": GAPS,
    "seed": st.integers(0, 2**16),
}
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 2e-2}


def draw(tools, L, S, padding, gap, seed, dtype=torch.float64, B=3):
    """Inputs with paddings of random widths, three rows."""
    rng = torch.Generator().manual_seed(seed)

    def widths(most):
        return tuple(torch.randint(0, most + 1, (B,), generator=rng).tolist())

    nothing = (0,) * B
    left, right = {
        "none": (None, None),
        "left": (widths(L - 1), nothing),
        "right": (nothing, widths(L - 1)),
        "both": (widths(L // 2), widths((L - 1) // 2)),
        "all of a row": ((L, *widths(L - 1)[1:]), nothing),
    }[padding]
    return tools.make_inputs(B, 2, L, 8, S, seed, left, right, gap, dtype)


def compare(tools, inputs, b, dtype, backend):
    actual = tools.gradients(unpack_window_attention, inputs, dtype, block_size=b, backend=backend)
    assert actual["result"].dtype == dtype
    expected = tools.gradients(dense_unpack_window_attention, tools.in_float64(inputs), dtype, block_size=b)
    reach = inputs["q"].shape[2] if inputs["positions"] is None else int(inputs["positions"].max())
    unavoidable = {}
    if dtype == torch.float32:
        # scores of thousands are rounded by any arithmetic: the dense path's own error is no fault of ours
        same = tools.gradients(dense_unpack_window_attention, inputs, dtype, block_size=b)
        unavoidable = {name: 2 * float((same[name].double() - wanted).norm()) for name, wanted in expected.items()}
    tools.assert_close(actual, expected, TOLERANCES[dtype], reach, unavoidable)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=120)
@given(**SHAPES)
@example(L=1, b=64, S=0, padding="none", gap=0, seed=0)
@example(L=1, b=64, S=64, padding="all of a row", gap=0, seed=0)
@example(L=63, b=64, S=32, padding="both", gap=256, seed=1)
@example(L=64, b=64, S=1, padding="right", gap=256, seed=2)
@example(L=65, b=64, S=64, padding="left", gap=1, seed=3)
@example(L=111, b=64, S=0, padding="all of a row", gap=256, seed=4)
@example(L=111, b=32, S=32, padding="both", gap=-3, seed=5)
@example(L=48, b=16, S=32, padding="right", gap=0, seed=6)
def test_float64_equals_the_oracle(tools, backend, L, b, S, padding, gap, seed):
    compare(tools, draw(tools, L, S, padding, gap, seed), b, torch.float64, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=40)
@given(**SHAPES)
def test_float32_within_1e_4(tools, backend, L, b, S, padding, gap, seed):
    compare(tools, draw(tools, L, S, padding, gap, seed, torch.float32), b, torch.float32, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=40)
@given(**SHAPES)
@example(L=65, b=32, S=0, padding="right", gap=256, seed=7)  # saturated rows, far keys
@example(L=140, b=64, S=32, padding="right", gap=256, seed=8)
def test_bfloat16_within_2e_2(tools, backend, L, b, S, padding, gap, seed):
    compare(tools, draw(tools, L, S, padding, gap, seed, torch.bfloat16), b, torch.bfloat16, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradcheck(tools, backend):
    """Derivatives against differences of the function itself, without the oracle."""
    inputs = tools.make_inputs(1, 1, 7, 2, 2, left=(1,), right=(0,), max_gap=3)
    names = ("q", "k", "v", "pack_k", "pack_v")
    leaves = [inputs[n].requires_grad_() for n in names]
    slopes = inputs["slopes"]

    def function(*values):
        tensors, coefficients = values[:5], values[5:]
        arguments = inputs | dict(zip(names, tensors, strict=True))
        for name, value in zip(("alpha", "beta", "gamma"), coefficients, strict=True):
            delattr(slopes, name)
            setattr(slopes, name, value)
        return unpack_window_attention(**arguments, block_size=2, backend=backend)

    coefficients = [p.detach().clone().requires_grad_() for p in slopes.parameters()]
    assert torch.autograd.gradcheck(function, (*leaves, *coefficients))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("b", [4, 16, 64])
def test_padding_content_never_matters(tools, backend, b):
    inputs = tools.make_inputs(3, 2, 50, 8, 5, left=(0, 3, 20), right=(17, 9, 0), max_gap=9, dtype=torch.float32)
    padding = inputs["padding_mask"]
    noisy = dict(inputs)
    for name in ("q", "k", "v"):
        noise = torch.where(padding[:, None, :, None], torch.randn_like(inputs[name]) * 1e4, torch.zeros(()))
        noisy[name] = inputs[name] + noise
    results = [unpack_window_attention(**x, block_size=b, backend=backend) for x in (inputs, noisy)]
    real = (~padding)[:, None, :, None].expand_as(results[0])
    assert torch.equal(results[0][real], results[1][real])


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30)
@given(n=st.integers(1, 40), more=st.integers(0, 40), b=st.sampled_from([4, 16]), S=st.sampled_from([0, 3]))
def test_batch_composition_never_matters(tools, backend, n, more, b, S):
    """A row alone, and the same row in company that makes it longer."""
    inputs = tools.make_inputs(3, 2, n + more, 8, S, left=(0, 0, 0), right=(more, 0, 0), max_gap=5)
    together = unpack_window_attention(**inputs, block_size=b, backend=backend)[:1, :, :n]
    alone = {name: t[:1] for name, t in inputs.items() if name.startswith("pack_")}
    alone |= {name: inputs[name][:1, :, :n] for name in ("q", "k", "v")}
    alone |= {"slopes": inputs["slopes"], "positions": inputs["positions"][:1, :n], "padding_mask": None}
    torch.testing.assert_close(unpack_window_attention(**alone, block_size=b, backend=backend), together)


def test_tensors_laid_out_otherwise(tools):
    """Views as a layer makes them, [B, L, H, D] seen as [B, H, L, D], and an expanded gradient."""
    inputs = tools.make_inputs(L=21, S=3)
    straight = tools.gradients(unpack_window_attention, inputs, block_size=4)
    views = dict(inputs)
    for name in ("q", "k", "v", "pack_k", "pack_v"):
        views[name] = inputs[name].transpose(1, 2).contiguous().transpose(1, 2)
        assert not views[name].is_contiguous()
    leaves = [views[n].requires_grad_() for n in ("q", "k", "v", "pack_k", "pack_v")]
    result = unpack_window_attention(**views, block_size=4)
    torch.testing.assert_close(result.detach(), straight["result"])
    result.sum().backward()  # the gradient of a sum has strides of 0
    dense = tools.make_inputs(L=21, S=3)
    others = [dense[n].requires_grad_() for n in ("q", "k", "v", "pack_k", "pack_v")]
    dense_unpack_window_attention(**dense, block_size=4)[0].sum().backward()
    for leaf, other in zip(leaves, others, strict=True):
        torch.testing.assert_close(leaf.grad, other.grad)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_without_a_key_are_zero_with_finite_gradients(tools, backend):
    inputs = tools.make_inputs(L=9, S=0, left=(9, 0), right=(0, 2))
    values = tools.gradients(unpack_window_attention, inputs, block_size=4, backend=backend)
    assert (values["result"][0] == 0).all()
    assert all(t.isfinite().all() for t in values.values())
    assert (values["q"][0] == 0).all() and (values["v"][0] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_of_padding_alone_has_no_gradient(tools, backend):
    inputs = tools.make_inputs(L=9, S=2, left=(9, 9), right=(0, 0))
    actual = tools.gradients(unpack_window_attention, inputs, block_size=4, backend=backend)
    expected = tools.gradients(dense_unpack_window_attention, inputs, block_size=4)
    tools.assert_close(actual, expected, 1e-9)
    assert all((t == 0).all() for t in actual.values())


def test_an_unknown_backend_is_named(tools):
    with pytest.raises(ValueError, match="'flash' is not one of auto, blockwise, unfolded, dense, flex, triton"):
        unpack_window_attention(**tools.make_inputs(), block_size=4, backend="flash")


@pytest.mark.parametrize("backend", [*BACKENDS, "dense"])
def test_autocast_keeps_scores_in_float32(tools, backend):
    inputs = tools.make_inputs(L=40, S=4, dtype=torch.float32)
    expected = unpack_window_attention(**inputs, block_size=8)
    halves = inputs | {n: inputs[n].bfloat16() for n in ("q", "k", "v", "pack_k", "pack_v")}
    with torch.autocast("cpu", torch.bfloat16):
        values = tools.gradients(unpack_window_attention, halves, block_size=8, backend=backend)
    assert values["result"].dtype == torch.bfloat16
    error = (values["result"].float() - expected).norm() / expected.norm()
    assert error < 2e-2 and all(t.isfinite().all() for t in values.values())


class TestDropout:
    """The matrix that v is multiplied by is visible with v = 1 (the identity) and L = D."""

    L, p = 24, 0.25

    def matrix(self, tools, backend, seed, b=4, p=p):
        inputs = tools.make_inputs(B=2, L=self.L, D=self.L, S=0)
        inputs["v"] = torch.eye(self.L, dtype=torch.float64).expand(2, 2, self.L, self.L)
        torch.manual_seed(seed)
        return unpack_window_attention(**inputs, block_size=b, dropout_p=p, backend=backend)

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_each_probability_is_kept_and_scaled_or_zero(self, tools, backend):
        plain, dropped = self.matrix(tools, backend, 0, p=0.0), self.matrix(tools, backend, 0)
        kept = dropped != 0
        torch.testing.assert_close(dropped[kept], plain[kept] / (1 - self.p))
        visible = plain > 0
        share = float((visible & ~kept).sum() / visible.sum())
        assert abs(share - self.p) < 0.04
        pattern = (visible & ~kept).float()
        for axis in range(3):  # rows, heads and queries do not share a pattern
            assert not torch.equal(pattern, pattern.roll(1, axis))
        blocks = pattern[0, 0, 8:12, 8:12], pattern[0, 0, 12:16, 12:16]
        assert not torch.equal(*blocks)

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_seed_decides(self, tools, backend):
        assert torch.equal(self.matrix(tools, backend, 5), self.matrix(tools, backend, 5))
        assert not torch.equal(self.matrix(tools, backend, 5), self.matrix(tools, backend, 6))

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_expectation(self, tools, backend):
        mean = sum(self.matrix(tools, backend, seed) for seed in range(300)) / 300
        plain = self.matrix(tools, backend, 0, p=0.0)
        # a kept probability has deviation w · √(p / (1 - p)); 5 of its standard errors
        bound = 5 * plain * (self.p / (1 - self.p) / 300) ** 0.5
        assert ((mean - plain).abs() <= bound + 1e-12).all()

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_gradients_belong_to_the_same_draw(self, tools, backend):
        inputs = tools.make_inputs(2, 1, 9, 2, 2, left=(1, 0), right=(0, 2))
        names = ("q", "k", "v", "pack_k", "pack_v")
        leaves = [inputs[n].requires_grad_() for n in names]
        slopes = inputs["slopes"]

        def function(*values):
            torch.manual_seed(3)
            arguments = inputs | dict(zip(names, values[:5], strict=True))
            for name, value in zip(("alpha", "beta", "gamma"), values[5:], strict=True):
                delattr(slopes, name)
                setattr(slopes, name, value)
            return unpack_window_attention(**arguments, block_size=4, dropout_p=0.4, backend=backend)

        coefficients = [p.detach().clone().requires_grad_() for p in slopes.parameters()]
        assert torch.autograd.gradcheck(function, (*leaves, *coefficients))


def test_nothing_is_quadratic_in_the_length(tools, largest_tensor):
    largest = {}
    for L in (4096, 8192):
        inputs = tools.make_inputs(1, 1, L, 8, 16, left=(0,), right=(5,), max_gap=9, dtype=torch.float32)
        with largest_tensor() as mode:
            tools.gradients(unpack_window_attention, inputs, block_size=64, dropout_p=0.1, backend="unfolded")
        largest[L] = mode.numel
    assert largest[8192] <= 2.1 * largest[4096]
    assert largest[8192] < 8192 * 8192 / 8
    inputs = tools.make_inputs(1, 1, 512, 8, 0)
    with largest_tensor() as mode:  # the recorder does see a quadratic path
        tools.gradients(dense_unpack_window_attention, inputs, block_size=32)
    assert mode.numel >= 512 * 512


def test_block_after_block_nothing_is_larger_than_the_features(tools, largest_tensor):
    L, S, b = 4096, 16, 64
    inputs = tools.make_inputs(1, 2, L, 8, S, left=(0,), right=(5,), max_gap=9, dtype=torch.float32)
    tensors = [inputs[n] for n in ("q", "k", "v", "pack_k", "pack_v")]
    features = blockwise.distance_features(tensors[0], inputs["positions"], inputs["padding_mask"], b, S)
    assert features.distances.shape == (1, 3, L * (S + 4 * b))
    rest = torch.zeros(2, 3), *features, inputs["padding_mask"], b, 0.1, torch.tensor(1)
    # what runs inside the operators, which a recorder does not look into
    forward, backward = blockwise._attend._init_fn, blockwise._attend_backward._init_fn
    with largest_tensor() as mode:
        backward(forward(*tensors, *rest), *tensors, *rest)
    assert mode.numel <= features.distances.numel()
