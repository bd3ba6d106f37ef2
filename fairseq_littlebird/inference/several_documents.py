"""One question asked of several documents: their answers on one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from fairseq_littlebird.inference.merging import Candidate, Prediction, without_overlaps


class DocumentAnswer(NamedTuple):
    """An answer.

    Args:
        document: the index of its document.
        candidate: the answer in that document.
        probability: of this span among those of all documents.
    """

    document: int
    candidate: Candidate
    probability: float


def best_answers(predictions: Sequence[Prediction], top_k: int) -> list[DocumentAnswer]:
    """The best answers of all documents, most probable first, as if their windows were those of one document.

    Args:
        predictions: of one question, one a document.
        top_k: answers at most; of those that overlap in a document, the best alone.
    """
    if not predictions:
        return []
    most = max(prediction.log_normaliser for prediction in predictions)
    shares = [math.exp(prediction.log_normaliser - most) for prediction in predictions]
    found = [
        DocumentAnswer(document, candidate, candidate.probability * share / sum(shares))
        for document, (prediction, share) in enumerate(zip(predictions, shares, strict=True))
        for candidate in without_overlaps(prediction.candidates)
    ]
    return sorted(found, key=lambda answer: -answer.probability)[:top_k]


def joint_null_odds(predictions: Sequence[Prediction]) -> float:
    """Log odds of "no answer in any document" against the best candidate of all, at most 1e9."""
    scored = [prediction for prediction in predictions if prediction.candidates]
    if not scored:
        return 1e9
    best = [p.log_normaliser + math.log(max(p.candidates[0].probability, 1e-300)) for p in scored]
    nulls = [odds + score for odds, score in zip((p.null_odds for p in scored), best, strict=True)]
    top = max(nulls)
    return top + math.log(sum(math.exp(null - top) for null in nulls)) - max(best)


def joint_null_probability(predictions: Sequence[Prediction]) -> float:
    """The probability of "no answer in any document", on the scale of :func:`best_answers`."""
    best = best_answers(predictions, 1)
    if not best:
        return 1.0
    return math.exp(min(0.0, joint_null_odds(predictions) + math.log(max(best[0].probability, 1e-300))))
