"""What a classifier says of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Classification:
    """A text's id, and the probability of each label: of one label a text they sum to 1.

    Args:
        id: the text's.
        probabilities: label -> probability, in the order of the labels' numbers.
        multi_label: whether a text has several labels, or none.
    """

    id: str
    probabilities: dict[str, float]
    multi_label: bool

    def record(self, threshold: float = 0.5) -> dict[str, Any]:
        """The label, the first of equally probable ones; or the labels whose probability is not below ``threshold``."""
        if self.multi_label:
            chosen = [label for label, probability in self.probabilities.items() if probability >= threshold]
            return {"labels": chosen, "probabilities": self.probabilities}
        label = max(self.probabilities, key=self.probabilities.__getitem__)
        return {"label": label, "probabilities": self.probabilities}
