"""Rotary positions against complex numbers, and what they are for."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.attention.common.rotary import rotate, rotation


def test_pairs_turn_as_complex_numbers():
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    by = rotation(9, 8, 100.0)
    angle = torch.arange(9)[:, None] * 100.0 ** (-torch.arange(0, 8, 2) / 8)
    turned = torch.complex(*x.chunk(2, dim=-1)) * torch.polar(torch.ones(9, 4).double(), angle.double())
    torch.testing.assert_close(rotate(x, by), torch.cat([turned.real, turned.imag], dim=-1), rtol=1e-5, atol=1e-6)


def test_scores_depend_on_distances_alone():
    q, k = torch.randn(2, 16)
    by = rotation(500, 16, 10_000.0)
    q, k = (rotate(x.expand(1, 1, 500, 16), by)[0, 0] for x in (q, k))
    scores = q @ k.T
    for distance in (-300, -7, 0, 1, 250):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_angles_of_long_texts_are_exact_in_half_precision(dtype):
    x = torch.randn(1, 1, 5000, 8).to(dtype)
    turned = rotate(x, rotation(5000, 8, 10_000.0))
    assert turned.dtype == dtype
    wanted = rotate(x.double(), rotation(5000, 8, 10_000.0))
    assert (turned.double() - wanted).abs().max() < 0.02
