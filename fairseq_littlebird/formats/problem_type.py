"""What a classifier predicts, under the names that transformers has for it."""

from __future__ import annotations

SINGLE_LABEL, MULTI_LABEL, REGRESSION = "single_label", "multi_label", "regression"

PROBLEM_TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)
"""One label a text; any number of labels a text; a number a text."""

SCORE = "score"
"""What the number of a text is called in records, in predictions and as the only output of a regression model."""
