"""Scores of regression: Pearson's and Spearman's correlation and the mean squared error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.problem_type import SCORE
from fairseq_littlebird.metrics.correlation import pearson, spearman
from fairseq_littlebird.metrics.json_files import is_number


def is_regression(gold: Any) -> bool:
    """Whether a gold file has scores and not labels: each has a decimal point, as ``littlebird-prepare`` writes it."""
    return isinstance(gold, dict) and bool(gold) and all(isinstance(value, float) for value in gold.values())


def evaluate(gold: Mapping[str, float], predictions: Mapping[str, Any]) -> dict[str, float]:
    """``pearson`` and ``spearman``, from -1 to 1, and ``mse``.

    Args:
        gold: example id to score.
        predictions: example id to score, or to ``{"score": score}`` as ``littlebird-predict`` writes it. Those of
            other examples are ignored.

    Raises:
        UserError: an example without prediction, which no correlation can count; or what is no finite number.
    """
    given, wanted = [], []
    for key, score in gold.items():
        where = f"example {key}"
        if key not in predictions:
            raise UserError("no prediction, and a correlation is of all examples", where, "predict the whole split")
        value = predictions[key]
        if isinstance(value, dict) and value.keys() == {SCORE}:
            value = value[SCORE]
        for number, what in ((score, "gold score"), (value, SCORE)):
            if not is_number(number) or not math.isfinite(number):
                raise UserError(f"the {what} is {shown(number)}", where, "give a number")
        given.append(float(value))
        wanted.append(float(score))
    errors = [(a - b) ** 2 for a, b in zip(given, wanted, strict=True)]
    return {
        "pearson": pearson(given, wanted),
        "spearman": spearman(given, wanted),
        "mse": math.fsum(errors) / len(errors),
    }
