"""What a prediction answers its question with, as each data set has it: in its file of predictions and on a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from fairseq_littlebird.inference.merging import Prediction


class Reply(NamedTuple):
    """An answer.

    Args:
        text: empty for no answer.
        probability: of this text.
        span: it is the best candidate.
        passage: the long answer, in data sets that have some: tokens of the document, one space between.
        passage_probability: of that.
    """

    text: str = ""
    probability: float = 0.0
    span: bool = False
    passage: str = ""
    passage_probability: float = 0.0


def span(prediction: Prediction, null_threshold: float | None = None) -> Reply:
    """The best candidate, or nothing where the null odds are above the threshold."""
    if not prediction.candidates or (null_threshold is not None and prediction.null_odds > null_threshold):
        return Reply()
    best = prediction.candidates[0]
    return Reply(best.text, best.probability, span=True)


def word_or_span(prediction: Prediction, null_threshold: float | None = None) -> Reply:
    """Yes, no, or the best candidate."""
    if prediction.answer_type in ("yes", "no"):
        return Reply(prediction.answer_type, prediction.type_probability)
    return span(prediction, null_threshold)


def segment(prediction: Prediction, null_threshold: float | None = None) -> Reply:
    """The name of the best segment; every question has an answer."""
    if not prediction.segments:
        return Reply()
    best = max(prediction.segments)
    return Reply(prediction.segment_names[prediction.segments.index(best)], best)


def long_and_short(prediction: Prediction, null_threshold: float | None = None) -> Reply:
    """Always the best of both: the official script looks for the threshold on the scores."""
    probability, name = best_passage(prediction)
    first, end = json.loads(name) if name else (0, 0)
    passage = " ".join(prediction.document.split(" ")[first:end])
    return word_or_span(prediction)._replace(passage=passage, passage_probability=probability)


def best_passage(prediction: Prediction) -> tuple[float, str]:
    """The probability and the name of the best segment; of equal ones the last name."""
    return max(zip(prediction.segments, prediction.segment_names, strict=True), default=(0.0, ""))


REPLIES: dict[str, Callable[[Prediction, float | None], Reply]] = {
    "hotpotqa": word_or_span,
    "wikihop": segment,
    "natural_questions": long_and_short,
}
"""Those of data sets whose answers are not spans alone."""
