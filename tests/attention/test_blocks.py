"""Sequences in blocks and their neighbours, index by index."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.attention.common.blocks import neighbours, split_blocks, window_band, windows

SIZES = [(L, b) for L in (1, 5, 6, 7, 13) for b in (1, 3, 6)]


@pytest.mark.parametrize(("shape", "dim"), [((2, -1), 1), ((2, 3, -1, 4), 2), ((2, 3, -1, 4), -2)])
@pytest.mark.parametrize(("L", "b"), SIZES)
def test_blocks_and_their_neighbours(L, b, shape, dim):
    """Block i + shift beside block i, 0 past the end of the sequence and -1 where there is no block."""
    view = [L if size == -1 else 1 for size in shape]
    x = torch.arange(1, L + 1).view(view).expand([L if size == -1 else size for size in shape])
    dim_of_blocks, n = dim if dim > 0 else dim - 1, -(-L // b)
    blocks = split_blocks(x, b, dim)
    for left, right in ((1, 1), (2, 0), (0, 1)):
        parts = neighbours(blocks, left, right, dim_of_blocks, fill=-1)
        assert len(parts) == left + 1 + right
        for shift, part in enumerate(parts, -left):
            assert part.shape == blocks.shape
            for i in range(n):
                inside = 0 <= i + shift < n
                tokens = range((i + shift) * b + 1, (i + shift + 1) * b + 1)
                wanted = [j if j <= L else 0 for j in tokens] if inside else [-1] * b
                rows = part.select(dim_of_blocks, i).flatten(0, dim % len(shape) - 1)[0]
                assert rows.view(b, -1)[:, 0].tolist() == wanted


@pytest.mark.parametrize(("left", "right"), [(2, 2), (3, 0), (0, 1), (9, 9)])
@pytest.mark.parametrize(("L", "b"), SIZES)
def test_windows_hold_what_the_band_shows(L, b, left, right):
    """Query i sees the keys i - left … i + right, and no others; nothing on the right in a causal window."""
    x = torch.arange(L)[None, :, None]
    keys, band = windows(x, b, left, right, dim=1, fill=-1)[0, :, :, 0], window_band(b, left, right)
    assert keys.shape == (-(-L // b), left + b + right) and band.shape == (b, left + b + right)
    for i in range(L):
        seen = keys[i // b][band[i % b]].tolist()
        assert [j for j in seen if j >= 0] == [j for j in range(i - left, i + right + 1) if 0 <= j < L]
