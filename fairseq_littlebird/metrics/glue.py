"""The figures of GLUE's leaderboard, in percent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.glue import GlueTask
from fairseq_littlebird.metrics import classification, regression


def evaluate(task: GlueTask, gold: Any, predictions: Mapping[str, Any]) -> dict[str, float]:
    """Matthews' correlation of CoLA; F1 of the label 1 and accuracy of MRPC and QQP; Pearson's and Spearman's
    correlation of STS-B; accuracy of the others. MNLI's two sets are two calls.

    Args:
        task: which of them.
        gold, predictions: as those of ``classification.evaluate`` and ``regression.evaluate``.

    Raises:
        UserError: as there; or a label that the task has not.
    """
    if not task.labels:
        found = regression.evaluate({key: _number(value) for key, value in gold.items()}, predictions)
        return {name: 100 * found[name] for name in task.figures}
    truth = classification.answers(gold)
    for key, labels in truth.items():
        if not labels <= {*task.labels}:
            what = f"the label {min(labels - {*task.labels})!r} is none of {task.name}'s"
            raise UserError(what, f"gold, example {key}", "give the gold file of this task")
    found = classification.evaluate(gold, predictions, labels=task.labels)
    return {name: 100 * found[name] for name in task.figures}


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
