"""A predicted text against the right one, and such scores averaged over questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PairScore = Callable[[str, str], float]


@dataclass(frozen=True)
class TextMetric:
    """How a data set compares texts.

    Args:
        exact_match: 1.0 where a prediction is the right text, else 0.0, given the prediction, then the right text.
        f1: their overlap, from 0.0 to 1.0.
    """

    exact_match: PairScore
    f1: PairScore
