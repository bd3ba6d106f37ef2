"""The layout of a file of predictions: JSON in sections that are written entry by entry."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fairseq_littlebird.inference.final_answer import FinalAnswer
from fairseq_littlebird.inference.merging import Prediction


@dataclass(frozen=True)
class Section:
    """A part of a file of JSON.

    Args:
        before: what stands before its entries.
        entry: an entry as JSON, from a prediction and its final answer.
        after: what stands behind its entries.
    """

    before: str
    entry: Callable[[Prediction, FinalAnswer], str]
    after: str


PredictionFormat = tuple[Section, ...]
"""The sections of a file, one after the other."""


def member(key: str, value: Any) -> str:
    """``"key": value``, as JSON."""
    return f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"


def answer_text(prediction: Prediction, answer: FinalAnswer) -> str:
    """``"id": "text"``."""
    return member(prediction.id, answer.text)


def _candidates(prediction: Prediction, answer: FinalAnswer) -> str:
    return member(prediction.id, [asdict(candidate) for candidate in prediction.candidates])


def _null_odds(prediction: Prediction, answer: FinalAnswer) -> str:
    return member(prediction.id, prediction.null_odds)


TEXTS: PredictionFormat = (Section("{", answer_text, "\n}"),)
"""``{id: text}``."""
N_BEST: PredictionFormat = (Section("{", _candidates, "\n}"),)
NULL_ODDS: PredictionFormat = (Section("{", _null_odds, "\n}"),)
