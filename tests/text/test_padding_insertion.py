from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.text.padding_insertion import insert_padding

BOUNDARY = np.array([False, True, False, True])
TOKENS = st.lists(st.integers(0, 3), max_size=60).map(lambda ids: np.array(ids, dtype=np.int64))


@given(TOKENS, st.floats(0, 1), st.integers(0, 20), st.integers(0, 20), st.integers(0, 2**32))
def test_moves_only_what_follows_a_boundary(tokens, probability, low, more, seed):
    rng = np.random.default_rng(seed)
    positions = insert_padding(tokens, BOUNDARY, probability, low, low + more, rng=rng)
    assert positions.dtype == np.int64 and positions.shape == tokens.shape
    assert positions[:1].tolist() in ([], [0])
    for token, gap in zip(tokens[:-1], np.diff(positions) - 1, strict=True):
        assert gap == 0 or (BOUNDARY[token] and low <= gap <= low + more)


def test_every_boundary_at_probability_one():
    tokens = np.array([0, 1, 1, 2, 3, 0])
    positions = insert_padding(tokens, BOUNDARY, 1, 5, 5, rng=np.random.default_rng(0))
    assert positions.tolist() == [0, 1, 7, 13, 14, 20]


def test_nothing_at_probability_zero():
    tokens = np.array([1, 1, 1])
    assert insert_padding(tokens, BOUNDARY, 0, rng=np.random.default_rng(0)).tolist() == [0, 1, 2]


def test_defaults_are_a_fifth_of_the_boundaries_and_0_to_256():
    tokens = np.tile([0, 1], 50_000)
    gaps = np.diff(insert_padding(tokens, BOUNDARY, rng=np.random.default_rng(0))) - 1
    after_boundary = gaps[1::2]
    assert (gaps[0::2] == 0).all()
    assert np.mean(after_boundary > 0) == pytest.approx(0.2 * 256 / 257, abs=0.01)
    assert after_boundary[after_boundary > 0].mean() == pytest.approx(128.5, abs=2)
    assert after_boundary.max() == 256


def test_equal_generators_give_equal_positions():
    tokens = np.tile([0, 1, 3], 100)
    first, again, other = (insert_padding(tokens, BOUNDARY, rng=np.random.default_rng(s)) for s in (7, 7, 8))
    assert (first == again).all() and (first != other).any()


def test_the_tokens_stay_as_they_are():
    tokens = np.array([1, 2, 3], dtype=np.int32)
    insert_padding(tokens, BOUNDARY, 1, rng=np.random.default_rng(0))
    assert tokens.tolist() == [1, 2, 3]


@pytest.mark.parametrize("setting", [(-0.1, 0, 1), (1.1, 0, 1), (0.2, 3, 2), (0.2, -1, 2)])
def test_refuses_impossible_settings(setting):
    with pytest.raises(ValueError):
        insert_padding(np.array([1]), BOUNDARY, *setting, rng=np.random.default_rng(0))
