"""Slopes read off a source's heads."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.checkpoints.slopes import fitted_slopes, slope, slope_of_mean
from fairseq_littlebird.checkpoints.source import read_source


def rows_with(left: list[float], right: list[float], length: int = 40) -> torch.Tensor:
    """Attention that falls off exponentially: <float>[1, H, L, L]."""
    offset = torch.arange(length)[:, None] - torch.arange(length)
    heads = [
        (-(s * offset.clamp(min=0) + t * (-offset).clamp(min=0))).softmax(-1) for s, t in zip(left, right, strict=True)
    ]
    return torch.stack(heads)[None]


def test_slopes_of_heads_that_have_them_are_found_again():
    rows = rows_with(left=[0.0, 0.3, 2.0, -0.1], right=[0.5, 0.05, 0.0, 1.0])
    left, right = slope(rows.double(), 12, left=True), slope(rows.double(), 12, left=False)
    torch.testing.assert_close(left, torch.tensor([0.0, 0.3, 2.0, -0.1]).double(), atol=2e-2, rtol=5e-2)
    torch.testing.assert_close(right, torch.tensor([0.5, 0.05, 0.0, 1.0]).double(), atol=2e-2, rtol=5e-2)


@pytest.mark.parametrize("reach", [1, 2, 7, 64])
def test_the_slope_has_the_mean_distance(reach):
    distance = torch.arange(1, reach + 1).double()
    for s in (-0.4, 0.0, 0.01, 0.7, 3.0):
        mean = ((-s * distance).softmax(0) @ distance)[None]
        found = slope_of_mean(mean, reach)
        assert (-found * distance).softmax(0) @ distance == pytest.approx(float(mean), abs=1e-6)


def test_every_head_of_a_source_gets_finite_slopes(hugging_face):
    source = read_source(hugging_face("BertForMaskedLM")[1])
    fitted = fitted_slopes(source, torch.Generator().manual_seed(0))
    assert len(fitted) == source.config.layers
    for beta, gamma in fitted:
        assert beta.shape == gamma.shape == (source.config.heads,)
        assert torch.cat([beta, gamma]).abs().max() < 1  # random weights favour no distance much
