"""The oracle against the definition, pair by pair."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_littlebird.attention import BiALiBi, dense_unpack_window_attention
from fairseq_littlebird.attention.common.alibi_slopes import alibi_slopes
from fairseq_littlebird.attention.common.patterns import block_window_pattern


@settings(max_examples=40)
@given(data=st.data())
def test_equals_the_literal_definition(tools, data):
    L, b, S = data.draw(st.integers(1, 11)), data.draw(st.integers(1, 12)), data.draw(st.integers(0, 3))
    pads = st.tuples(st.integers(0, L), st.integers(0, L))
    left, right = (
        data.draw(st.sampled_from([(None, None)])) if data.draw(st.booleans()) else (data.draw(pads), data.draw(pads))
    )
    inputs = tools.make_inputs(
        L=L,
        S=S,
        seed=data.draw(st.integers(0, 99)),
        left=left,
        right=right,
        max_gap=data.draw(st.sampled_from([0, 9, -9])),
    )
    result, probabilities = dense_unpack_window_attention(**inputs, block_size=b)
    wanted, wanted_probabilities = tools.literal_attention(*inputs.values(), b)
    torch.testing.assert_close(probabilities, wanted_probabilities, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(result, wanted, rtol=1e-9, atol=1e-12)


def test_who_sees_whom_at_block_size_2_and_length_7():
    """Blocks {0 1} {2 3} {4 5} {6}, by hand: block 0, own, left, right; the ends do not meet."""
    wanted = [
        "1111000",
        "1111000",
        "1111110",
        "1111110",
        "1111111",
        "1111111",
        "1100111",
    ]
    visible = block_window_pattern(7, 2)
    assert ["".join(str(int(x)) for x in row) for row in visible] == wanted


@pytest.mark.parametrize("length", [1, 7, 16, 23])
def test_probabilities_are_distributions_over_the_visible_keys(tools, length):
    S, b = 3, 4
    inputs = tools.make_inputs(L=length, S=S, left=(0, 1), right=(0, 0))
    _, probabilities = dense_unpack_window_attention(**inputs, block_size=b)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2, 2, length, dtype=torch.float64))
    hidden = ~block_window_pattern(length, b)[None, None] | inputs["padding_mask"][:, None, None, :]
    tokens = probabilities[..., S:]
    assert (tokens[hidden.expand_as(tokens)] == 0).all()
    assert (probabilities[..., :S] > 0).all() and (tokens[~hidden.expand_as(tokens)] > 0).all()


def test_no_key_counts_twice(tools):
    """Equal scores everywhere: each visible key gets 1 / (how many there are)."""
    inputs = tools.make_inputs(L=7, S=2)
    for name in ("q", "k", "pack_k"):
        inputs[name] = torch.zeros_like(inputs[name])
    for slope in inputs["slopes"].parameters():
        slope.data.zero_()
    _, probabilities = dense_unpack_window_attention(**inputs, block_size=2)
    visible = [4, 4, 6, 6, 7, 7, 5]
    for i, count in enumerate(visible):
        row = probabilities[0, 0, i]
        torch.testing.assert_close(row[row > 0], torch.full((count + 2,), 1 / (count + 2), dtype=torch.float64))


def test_distance_matrix_by_hand():
    """α for the first token whatever the distance; β to the left, γ to the right, along position ids."""
    slopes = BiALiBi(1)
    slopes.alpha.data, slopes.beta.data, slopes.gamma.data = (torch.tensor([x]) for x in (0.5, 2.0, 10.0))
    wanted = [
        [0.0, 0.5, 0.5, 0.5],
        [0.5, 0.0, 40.0, 70.0],
        [0.5, 8.0, 0.0, 30.0],
        [0.5, 14.0, 6.0, 0.0],
    ]
    assert slopes(torch.tensor([[0, 1, 5, 8]]))[0, 0].tolist() == wanted
    assert slopes.pack_distance(64).tolist() == [6.0 * 64]


def test_slopes_start_at_alibis():
    assert alibi_slopes(8) == [2.0**-n for n in range(1, 9)]
    assert alibi_slopes(2) == [2.0**-4, 2.0**-8]
    twelve = alibi_slopes(12)  # eight of 8 heads, then every other one of 16
    assert twelve == [2.0**-n for n in range(1, 9)] + [2.0**-n for n in (0.5, 1.5, 2.5, 3.5)]
    slopes = BiALiBi(12)
    assert slopes.beta.tolist() == slopes.gamma.tolist() == torch.tensor(twelve).tolist()
    assert slopes.alpha.tolist() == [0.0] * 12
    assert sum(p.requires_grad for p in slopes.parameters()) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_slopes_count_in_float32(dtype):
    """Position 8191 is no bfloat16 or float16 number; neither is its neighbour."""
    slopes = BiALiBi(1).to(dtype)
    slopes.beta.data.fill_(1.0)
    distance = slopes(torch.tensor([[0, 4000, 8191, 8192]]))
    assert distance.dtype == torch.float32
    assert distance[0, 0, 3, 2] == 1 and distance[0, 0, 2, 1] == 4191
    assert slopes.pack_distance(64).dtype == torch.float32


def test_without_slopes_no_bias(tools):
    inputs = tools.make_inputs()
    zero = BiALiBi(2).double()
    for slope in zero.parameters():
        slope.data.zero_()
    with_zero, _ = dense_unpack_window_attention(**(inputs | {"slopes": zero}), block_size=2)
    without, _ = dense_unpack_window_attention(**(inputs | {"slopes": None}), block_size=2)
    torch.testing.assert_close(with_zero, without)


def test_rows_without_a_key_are_zero_with_finite_gradients(tools):
    inputs = tools.make_inputs(L=5, S=0, left=(5, 0), right=(0, 1))
    values = tools.gradients(dense_unpack_window_attention, inputs, block_size=2)
    assert (values["result"][0] == 0).all() and (values["result"][1, :, :-1] != 0).all()
    assert all(t.isfinite().all() for t in values.values())
    assert (values["q"][0] == 0).all() and (values["v"][0] == 0).all()


@settings(max_examples=30)
@given(gaps=st.lists(st.integers(0, 6), min_size=0, max_size=9), S=st.integers(0, 2))
def test_gaps_in_position_ids_equal_padding_put_there(tools, gaps, S):
    """Section 3.4. In one block, so that all keys are visible; gaps change neither α nor D_P."""
    L, length = len(gaps) + 1, len(gaps) + 1 + sum(gaps)
    inputs = tools.make_inputs(B=1, L=L, S=S)
    places = torch.tensor([0, *gaps]).cumsum(0) + torch.arange(L)
    virtual, _ = dense_unpack_window_attention(**(inputs | {"positions": places[None]}), block_size=length)

    physical = dict(inputs)
    for name in ("q", "k", "v"):
        physical[name] = torch.randn(1, 2, length, 4, dtype=torch.float64)
        physical[name][:, :, places] = inputs[name]
    physical["padding_mask"] = torch.ones(1, length, dtype=torch.bool)
    physical["padding_mask"][0, places] = False
    inserted, _ = dense_unpack_window_attention(**physical, block_size=length)
    torch.testing.assert_close(inserted[:, :, places], virtual)


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_a_gap_of_whole_blocks_equals_padding_for_those_who_see_the_same(tools, blocks):
    """Block 1 moved away by whole blocks still sees block 0 (global) and itself."""
    b, L = 4, 8
    inputs = tools.make_inputs(B=1, L=L, S=2)
    places = torch.arange(L) + torch.tensor([0] * b + [blocks * b] * b)
    length = int(places[-1]) + 1
    virtual, _ = dense_unpack_window_attention(**(inputs | {"positions": places[None]}), block_size=b)
    physical = dict(inputs)
    for name in ("q", "k", "v"):
        physical[name] = torch.zeros(1, 2, length, 4, dtype=torch.float64)
        physical[name][:, :, places] = inputs[name]
    physical["padding_mask"] = torch.ones(1, length, dtype=torch.bool)
    physical["padding_mask"][0, places] = False
    inserted, _ = dense_unpack_window_attention(**physical, block_size=b)
    torch.testing.assert_close(inserted[:, :, places[b:]], virtual[:, :, b:])
