"""The scores of any classifier: of labels or of numbers, as the gold file has them; also by the texts' lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import classification, regression
from fairseq_littlebird.metrics.json_files import is_number


def answers(gold: Any, where: str = "gold") -> Mapping[str, Any]:
    """Example id to its labels or its score.

    Args:
        gold: the parsed JSON.
        where: what an error calls it, such as its file name.

    Raises:
        UserError: as ``classification.answers``.
    """
    return gold if regression.is_regression(gold) else classification.answers(gold, where)


def evaluate(gold: Any, predictions: Mapping[str, Any]) -> dict[str, float]:
    """What ``regression.evaluate`` or ``classification.evaluate`` says."""
    if regression.is_regression(gold):
        return regression.evaluate(gold, predictions)
    for key, value in predictions.items():
        if key in gold and isinstance(value, dict) and value.keys() == {"score"} and is_number(value["score"]):
            what = "a score here, labels in the gold file"
            raise UserError(what, f"example {key}", "give the gold file of the folder that was predicted")
    return classification.evaluate(gold, predictions)


class LengthBin(NamedTuple):
    """The scores of the texts of some lengths.

    Args:
        low, high: tokens, both inclusive; no ``high`` in the last.
        texts: how many.
        scores: of them alone; none of no text.
    """

    low: int
    high: int | None
    texts: int
    scores: dict[str, float]

    @property
    def name(self) -> str:
        return f"over {self.low - 1:,}" if self.high is None else f"{self.low:,} to {self.high:,}"


def by_length(
    gold: Mapping[str, Any],
    predictions: Mapping[str, Any],
    lengths: Mapping[str, int],
    bounds: Sequence[int],
    score: Any = evaluate,
) -> list[LengthBin]:
    """The scores of the texts in each bin, as table 6 of the paper has them.

    Args:
        gold, predictions: see :func:`evaluate`.
        lengths: example id to tokens.
        bounds: the most tokens of each bin but the last, in ascending order.
        score: what evaluates.
    """
    bins, low = [], 1
    for high in (*bounds, None):
        own = {
            key: value for key, value in gold.items() if low <= lengths[key] and (high is None or lengths[key] <= high)
        }
        bins.append(LengthBin(low, high, len(own), score(own, predictions) if own else {}))
        low = (high or 0) + 1
    return bins
