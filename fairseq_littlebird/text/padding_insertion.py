"""Padding insertion: position ids of a short input that runs as far as a long one."""

from __future__ import annotations

import numpy as np


def insert_padding(
    tokens: np.ndarray,
    boundary: np.ndarray,
    probability: float = 0.2,
    min_gap: int = 0,
    max_gap: int = 256,
    *,
    rng: np.random.Generator,
) -> np.ndarray:
    """Position ids as if masked padding stood after some boundary tokens (sections 3.4 and 4.4).

    Each boundary token is followed, with ``probability``, by a gap whose length is uniform in
    [``min_gap``, ``max_gap``]; every later token moves to the right by it. The defaults are those of
    section 4.4.

    Args:
        tokens: int [L], token ids.
        boundary: bool [V], which tokens of the vocabulary may be followed by a gap.

    Returns:
        int64 [L], strictly increasing, starting at 0.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability {probability} is not between 0 and 1")
    if not 0 <= min_gap <= max_gap:
        raise ValueError(f"gap lengths {min_gap} to {max_gap} are not in ascending order from 0")
    gaps = rng.integers(min_gap, max_gap, size=len(tokens), endpoint=True)
    gaps *= boundary[tokens] & (rng.random(len(tokens)) < probability)
    return np.arange(len(tokens)) + np.cumsum(gaps) - gaps
