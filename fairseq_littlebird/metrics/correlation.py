"""Pearson's and Spearman's correlation, and Matthews' of labels, as scipy and scikit-learn define them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from itertools import groupby


class UndefinedCorrelation(UserWarning):
    """A correlation that is not defined, as one side is constant or too short; it is 0 then."""


def pearson(x: Sequence[float], y: Sequence[float]) -> float:
    """Pearson's r, from -1 to 1; 0 with a warning where a side is constant or there are fewer than two pairs.

    Args:
        x, y: as many finite numbers.
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} numbers")
    for side, name in ((x, "first"), (y, "second")):
        if len(side) < 2 or min(side) == max(side):
            what = f"the {name} side is constant" if len(side) > 1 else "fewer than two pairs"
            warnings.warn(f"{what}: no correlation is defined, taken as 0", UndefinedCorrelation, stacklevel=2)
            return 0.0
    a, b = _centred(x), _centred(y)
    product = math.sqrt(math.fsum(value * value for value in a)) * math.sqrt(math.fsum(value * value for value in b))
    r = math.fsum(left * right for left, right in zip(a, b, strict=True)) / product
    return max(-1.0, min(1.0, r))


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rho: Pearson's r of the ranks, equal numbers sharing the mean of theirs."""
    return pearson(ranks(x), ranks(y))


def ranks(numbers: Sequence[float]) -> list[float]:
    """The rank of each number, from 1; equal ones have the mean of their ranks."""
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    found, below = [0.0] * len(numbers), 0
    for _, group in groupby(order, key=numbers.__getitem__):
        equal = list(group)
        for index in equal:
            found[index] = below + (len(equal) + 1) / 2
        below += len(equal)
    return found


def matthews(hits: float, truths: Iterable[float], predictions: Iterable[float], texts: float) -> float:
    """Matthews' correlation of any number of classes (Gorodkin, 2004): 0 where all texts have one, or are given one.

    Args:
        hits: texts whose predicted class is the true one.
        truths, predictions: how often each class is true, and predicted, in one order.
        texts: of them all.
    """
    truths, predictions = [*truths], [*predictions]
    covariance = hits * texts - math.fsum(t * p for t, p in zip(truths, predictions, strict=True))
    spreads = [texts * texts - math.fsum(count * count for count in side) for side in (truths, predictions)]
    product = spreads[0] * spreads[1]
    return covariance / math.sqrt(product) if product > 0 else 0.0


def _centred(numbers: Sequence[float]) -> list[float]:
    """Differences from the mean, the largest 1 or -1: their squares neither overflow nor vanish."""
    mean = math.fsum(number / len(numbers) for number in numbers)
    differences = [number - mean for number in numbers]
    largest = max(map(abs, differences))
    return [difference / largest for difference in differences] if largest else differences
