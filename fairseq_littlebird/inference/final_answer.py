"""What a prediction answers its question with: in the file of predictions, on a page and in validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.text.example import QAExample

YES_NO = ("yes", "no")
"""Answer types that are answer texts themselves."""


@dataclass(frozen=True)
class FinalAnswer:
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


AnswerRule = Callable[[Prediction, float | None], FinalAnswer]
"""The final answer of a prediction; None instead of a threshold of the null odds always answers."""


def best_span(prediction: Prediction, null_threshold: float | None = None) -> FinalAnswer:
    """The best candidate, or nothing where the null odds are above the threshold."""
    if not prediction.candidates or (null_threshold is not None and prediction.null_odds > null_threshold):
        return FinalAnswer()
    best = prediction.candidates[0]
    return FinalAnswer(best.text, best.probability, span=True)


def yes_no_or_span(prediction: Prediction, null_threshold: float | None = None) -> FinalAnswer:
    """Yes, no, or the best candidate."""
    if prediction.answer_type in YES_NO:
        return FinalAnswer(prediction.answer_type, prediction.type_probability)
    return best_span(prediction, null_threshold)


def best_segment(prediction: Prediction, null_threshold: float | None = None) -> FinalAnswer:
    """The name of the most probable segment; every question has an answer."""
    if not prediction.segments:
        return FinalAnswer()
    best = max(prediction.segments)
    return FinalAnswer(prediction.segment_names[prediction.segments.index(best)], best)


def gold_texts(example: QAExample) -> list[str]:
    """The texts that answer the question: those of its answers, or yes or no, or "" where it has no answer."""
    texts = [answer.text for answer in example.answers]
    return texts or [example.answer_type if example.answer_type in YES_NO else ""]
