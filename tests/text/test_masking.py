"""BERT's masks."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_littlebird.text.masking import Masking


def test_shares_and_places():
    masking = Masking(99, np.arange(10, 60), probability=0.15, kept=0.1, random=0.1)
    tokens, maskable = np.full(400, 5), np.ones(400, dtype=bool)
    tokens[::4], maskable[::4] = 7, False
    counts = np.zeros(4)
    for seed in range(200):
        masked, predicted = masking(tokens, maskable, np.random.default_rng(seed))
        assert not predicted[~maskable].any() and (masked[~predicted] == tokens[~predicted]).all()
        assert predicted.sum() in (45, 46)  # 15 % of 300
        seen = masked[predicted]
        drawn = (seen >= 10) & (seen < 60)
        assert ((seen == 99) | (seen == 5) | drawn).all()
        counts += predicted.sum(), (seen == 99).sum(), (seen == 5).sum(), drawn.sum()
    assert counts[1:] / counts[0] == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


def test_at_least_one_and_the_same_again():
    masking = Masking(99, np.arange(3))
    tokens, maskable = np.arange(10, 13), np.array([False, True, False])
    for seed in range(9):
        masked, predicted = masking(tokens, maskable, np.random.default_rng(seed))
        assert predicted.tolist() == [False, True, False]
        again = masking(tokens, maskable, np.random.default_rng(seed))
        assert (masked == again[0]).all() and tokens.tolist() == [10, 11, 12]


@pytest.mark.parametrize(
    "shares", [{"probability": 0}, {"probability": 1.1}, {"kept": 0.6, "random": 0.5}, {"kept": -1}]
)
def test_shares_that_make_no_sense(shares):
    with pytest.raises(ValueError, match="share"):
        Masking(0, np.arange(3), **shares)
