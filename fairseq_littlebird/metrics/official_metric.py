"""How a file of predictions is scored against a data set's own file of answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Gold = TypeVar("Gold")
Predictions = TypeVar("Predictions", bound=Mapping[Any, Any])

Scores = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class OfficialMetric(Generic[Gold, Predictions]):
    """The figures of a data set's official script.

    Args:
        read_gold: reads the file of answers.
        read_predictions: reads a file of predictions.
        answers: checks what ``read_gold`` gave, under the name that errors call it, and gives id -> answer.
        evaluate: the scores of the predictions, under the official script's names.
        evaluate_null_odds: the same where a question whose null odds exceed a threshold counts as not answered; None
            where the data set knows no null odds.
        parts: the maps in a prediction file; none where it is one map itself.
        malformed: ids of predictions that are scored though malformed.
        prediction_format: for ``--help``, what a prediction file is, where it is not {question id: answer text}.
        many_gold_files: the gold may be a folder or a pattern.
    """

    read_gold: Callable[[str], Gold]
    read_predictions: Callable[[str], Predictions]
    answers: Callable[[Gold, str], Mapping[Any, object]]
    evaluate: Callable[[Gold, Predictions], Scores]
    evaluate_null_odds: Callable[[Gold, Predictions, Mapping[str, float], float], Scores] | None = None
    parts: tuple[str, ...] = ()
    malformed: Callable[[Predictions], list[str]] | None = None
    prediction_format: str = ""
    many_gold_files: bool = False
