"""Sizes, and the tokens that a batch is made of."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.benchmarks.workload import MODES, PAD, SIZES, Sizes, Workload


@given(length=st.integers(1, 500), batch=st.integers(1, 9), padding=st.floats(0, 0.99))
def test_padding_is_what_was_asked_for(length, batch, padding):
    workload = Workload(SIZES["tiny"], 1, length, batch, padding)
    tokens = workload.tokens()
    rows = workload.lengths()
    assert tokens.shape == (batch, length)
    assert (tokens != PAD).sum(dim=1).tolist() == rows == sorted(rows, reverse=True)
    at_least_one = 1 / length
    assert sum(rows) / tokens.numel() == pytest.approx(1 - padding, abs=0.5 / length + at_least_one)


def test_no_padding_unless_asked_for(workload):
    assert workload.lengths() == [100, 100]


def test_everything_but_the_mode_leaves_the_tokens_alone(workload):
    other = dataclasses.replace(workload, mode=MODES[1], layers=7)
    assert workload.tokens().equal(other.tokens())
    assert other.backward and not workload.backward


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="7 attention heads do not divide a width of 64"):
        Sizes(64, 7, 256, 32, 32)
