"""What a classifier says of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fairseq_littlebird.formats.problem_type import MULTI_LABEL, REGRESSION, SCORE, SINGLE_LABEL
from fairseq_littlebird.inference.text_attribution import TextAttribution


@dataclass(frozen=True)
class Classification:
    """A text's id, and the probability of each label: of one label a text they sum to 1; in regression its score.

    Args:
        id: the text's.
        probabilities: label -> probability, in the order of the labels' numbers; none in regression.
        problem_type: one of ``PROBLEM_TYPES``.
        score: of regression, within the range of the training scores.
        attribution: the sentences that this depends on, where they were asked for.
    """

    id: str
    probabilities: dict[str, float]
    problem_type: str = SINGLE_LABEL
    score: float | None = None
    attribution: TextAttribution | None = None

    @property
    def label(self) -> str:
        """The most probable label, the first of equally probable ones."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    def labels(self, threshold: float = 0.5) -> list[str]:
        """The labels whose probability is not below ``threshold``; of one label a text the most probable."""
        if self.problem_type == MULTI_LABEL:
            return [label for label, probability in self.probabilities.items() if probability >= threshold]
        return [self.label] if self.probabilities else []

    def record(self, threshold: float = 0.5) -> dict[str, Any]:
        """What ``predictions.json`` has of it; for ``threshold`` see :meth:`labels`."""
        if self.problem_type == REGRESSION:
            return {SCORE: self.score}
        if self.problem_type == MULTI_LABEL:
            return {"labels": self.labels(threshold), "probabilities": self.probabilities}
        return {"label": self.label, "probabilities": self.probabilities}
