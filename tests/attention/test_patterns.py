"""Who sees whom, pair by pair."""

from __future__ import annotations

import pytest

from fairseq_littlebird.attention.patterns import band_pattern


@pytest.mark.parametrize(("L", "r"), [(1, 1), (7, 0), (7, 1), (7, 3), (5, 9)])
def test_a_band_is_what_lies_within_its_radius(L, r):
    seen = band_pattern(L, r)
    assert seen.shape == (L, L)
    assert all(bool(seen[i, j]) == (abs(i - j) <= r) for i in range(L) for j in range(L))
