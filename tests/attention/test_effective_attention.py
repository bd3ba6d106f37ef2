"""Effective attention against its construction from the oracle's probabilities."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_littlebird.attention import dense_unpack_window_attention
from fairseq_littlebird.attention.common.patterns import block_window_pattern, sliding_window_pattern
from fairseq_littlebird.attention.effective_attention import (
    effective_attention,
    full_attention_probabilities,
    pack_attention_probabilities,
)
from fairseq_littlebird.attention.internals import FullAttentionInternals, LittleBirdInternals


def internals_of(inputs, seed=0):
    """A layer's internals from the arguments of the oracle."""
    rng = torch.Generator().manual_seed(seed)
    pack_q, pack_x_k = (torch.randn(t.shape, generator=rng, dtype=t.dtype) for t in (inputs["pack_k"], inputs["k"]))
    slopes = inputs["slopes"] and torch.stack(inputs["slopes"].coefficients())
    return LittleBirdInternals(inputs["q"], inputs["k"], pack_q, pack_x_k, inputs["pack_k"], slopes)


def softmax_over(scores, padding):
    if padding is not None:
        scores = scores.masked_fill(padding[:, None, None, :], float("-inf"))
    return scores.softmax(dim=-1)


def brute_force(inputs, internals, b, window):
    """From the oracle's probabilities, a pack vector at a time."""
    S, padding = inputs["pack_k"].shape[2], inputs["padding_mask"]
    scale = inputs["q"].shape[-1] ** -0.5
    a_pack = softmax_over(internals.pack_q @ internals.pack_x_k.transpose(2, 3) * scale, padding)
    if window:
        _, p = dense_unpack_window_attention(**inputs, block_size=b)
    else:
        unpack = (internals.q @ internals.pack_k.transpose(2, 3) * scale).softmax(dim=-1)
        p = torch.cat([unpack, torch.zeros_like(inputs["q"] @ inputs["k"].transpose(2, 3))], dim=3)
    rows = p[..., S:].clone()
    for s in range(S):
        rows += p[..., s : s + 1] * a_pack[:, :, s : s + 1]
    return rows


@settings(max_examples=60)
@given(data=st.data())
def test_equals_the_construction(tools, data):
    L, b, S = data.draw(st.integers(1, 23)), data.draw(st.integers(1, 9)), data.draw(st.integers(0, 3))
    window = bool(S == 0 or data.draw(st.booleans()))
    pads = data.draw(st.tuples(st.integers(0, L - 1), st.integers(0, L - 1))) if data.draw(st.booleans()) else None
    gaps = {"max_gap": data.draw(st.sampled_from([0, 9, 3000, -9]))}
    inputs = tools.make_inputs(L=L, S=S, seed=data.draw(st.integers(0, 99)), left=pads and (0, 0), right=pads, **gaps)
    if data.draw(st.booleans()):
        inputs["slopes"] = None
    internals, padding = internals_of(inputs), inputs["padding_mask"]
    wanted = brute_force(inputs, internals, b, window)
    live = torch.ones(2, L, dtype=torch.bool) if padding is None else ~padding

    def effective(queries, pack=None):
        return effective_attention(internals, inputs["positions"], padding, b, window, queries, pack)

    got = effective(slice(None))
    assert got.dtype == torch.float64 and got.shape == wanted.shape
    got, wanted = got.transpose(1, 2)[live], wanted.transpose(1, 2)[live]  # rows of padded queries are undefined
    torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-12)
    assert (got >= 0).all()
    torch.testing.assert_close(got.sum(-1), torch.ones_like(got[..., 0]))
    chunk, pack = data.draw(st.integers(1, L)), pack_attention_probabilities(internals, padding)
    chunks = torch.cat([effective(slice(n, n + chunk), pack) for n in range(0, L, chunk)], dim=2)
    torch.testing.assert_close(chunks.transpose(1, 2)[live], got, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("own", [0, 6])
@pytest.mark.parametrize("window", [None, 4])
def test_full_rows_are_masked_softmax(tools, window, own):
    """Of a layer whose own window is another, too."""
    inputs = tools.make_inputs(L=13, left=(0, 2), right=(3, 0))
    internals, padding = FullAttentionInternals(inputs["q"], inputs["k"], own), inputs["padding_mask"]
    wanted = softmax_over(internals.q @ internals.k.transpose(2, 3) * internals.q.shape[-1] ** -0.5, padding)
    if window is not None:
        wanted = wanted * block_window_pattern(13, window)
    if own:
        wanted = wanted * sliding_window_pattern(13, own)
    wanted = wanted / wanted.sum(-1, keepdim=True)
    rows = slice(5, 11)
    live = ~padding[:, rows]
    got = full_attention_probabilities(internals, padding, rows, window).transpose(1, 2)[live]
    torch.testing.assert_close(got, wanted[:, :, rows].transpose(1, 2)[live], rtol=1e-9, atol=1e-12)
    assert (got[..., padding.all(0)] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(tools, dtype):
    """A bias past 2048 positions could not be told from its neighbours in half precision."""
    inputs = tools.make_inputs(L=21, S=3, max_gap=900, dtype=dtype)
    inputs["slopes"] = inputs["slopes"].float()
    internals = internals_of(inputs)
    wide = LittleBirdInternals(*(t.double() for t in internals))
    wanted = effective_attention(wide, inputs["positions"], None, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = effective_attention(internals, inputs["positions"], None, 4)
        full = full_attention_probabilities(FullAttentionInternals(internals.q, internals.k))
    assert got.dtype == full.dtype == torch.float32
    torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        full.double(), full_attention_probabilities(FullAttentionInternals(wide.q, wide.k)), rtol=1e-4, atol=1e-6
    )


def test_a_chunk_makes_nothing_quadratic(tools, largest_tensor):
    L = 400
    inputs = tools.make_inputs(B=1, H=2, L=L, S=3)
    internals = internals_of(inputs)
    with largest_tensor() as largest:
        effective_attention(internals, None, None, 8, queries=slice(0, 5))
        full_attention_probabilities(FullAttentionInternals(inputs["q"], inputs["k"]), queries=slice(0, 5))
    assert largest.numel <= 5 * 4 * (L + 3)
