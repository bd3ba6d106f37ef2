"""Who sees whom, drawn, and attention over it."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.attention.patterns import masked_attention, sliding_window_pattern


def drawn(pattern):
    return ["".join(".x"[int(seen)] for seen in row) for row in pattern]


def test_a_sliding_window():
    assert drawn(sliding_window_pattern(6, 4)) == ["xxx...", "xxxx..", "xxxxx.", ".xxxxx", "..xxxx", "...xxx"]


def test_a_dilated_sliding_window():
    assert drawn(sliding_window_pattern(7, 4, 2)) == [
        "x.x.x..",
        ".x.x.x.",
        "x.x.x.x",
        ".x.x.x.",
        "x.x.x.x",
        ".x.x.x.",
        "..x.x.x",
    ]


def test_a_window_past_the_ends_is_everything():
    assert sliding_window_pattern(5, 8).all() and not sliding_window_pattern(6, 8).all()


def test_attention_over_a_mask_equals_attention_over_what_it_leaves():
    q, k, v = torch.randn(3, 1, 1, 4, 2, dtype=torch.float64)
    visible = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]]).bool()
    result, probabilities = masked_attention(q, k, v, visible)
    for i, keys in enumerate(visible):
        if keys.any():
            expected = (q[0, 0, i] @ k[0, 0, keys].T / 2**0.5).softmax(-1)
            torch.testing.assert_close(probabilities[0, 0, i, keys], expected)
            torch.testing.assert_close(result[0, 0, i], expected @ v[0, 0, keys])
    assert (result[0, 0, 1] == 0).all() and (probabilities[0, 0][~visible] == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_scores_are_never_narrower_than_float32(dtype):
    q = torch.ones(1, 1, 1, 4, dtype=dtype)
    result, probabilities = masked_attention(q, q, q, torch.ones(1, 1, dtype=torch.bool))
    assert result.dtype == dtype and probabilities.dtype == torch.float32
