"""What a training shows beside its criterion's own figures, through fairseq's log and all that it feeds."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.logging import metrics
from torch import Tensor

from fairseq_littlebird.attention import BiALiBi
from fairseq_littlebird.data.batch import with_counts

PADDING, SLOPES, CALLS = "padding_tokens", "slope_", "calls"


class TrainingMonitor:
    """A mixin for a task: ``padding``, the share of a batch that is padding, and at validation ``slope_1`` …,
    each layer's (β + γ) / 2, the mean of its heads. A batch in which nothing is asked counts in no mean loss."""

    def train_step(self, sample: Any, model: Any, *arguments: Any, **options: Any) -> Any:
        given = with_counts(sample, model)
        loss, sample_size, log = super().train_step(given, model, *arguments, **options)  # type: ignore[misc]
        return loss, sample_size, log | self._padding(sample)

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        given = with_counts(sample, model)
        loss, sample_size, log = super().valid_step(given, model, criterion)  # type: ignore[misc]
        return loss, sample_size, log | self._padding(sample) | slopes(model) | {CALLS: 1}

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        with metrics.aggregate() as logged:
            super().reduce_metrics(logging_outputs, criterion)  # type: ignore[misc]

        def total(key: str) -> Any:
            return sum(log.get(key, 0) for log in logging_outputs)

        if "loss" not in logged and not total("sample_size"):  # fairseq would count a loss of -1
            metrics.log_scalar("loss", 0.0, 0, round=3)
        if cells := total("cells"):
            metrics.log_scalar("padding", total(PADDING) / cells, cells, round=3)
        if calls := total(CALLS):
            for key in sorted({key for log in logging_outputs for key in log if key.startswith(SLOPES)}):
                metrics.log_scalar(key, total(key) / calls, round=4)

    def _padding(self, sample: Any) -> dict[str, Any]:
        if not sample:
            return {PADDING: 0, "cells": 0}
        tokens: Tensor = sample["net_input"]["src_tokens"]
        return {PADDING: (tokens == self.source_dictionary.pad()).sum(), "cells": tokens.numel()}  # type: ignore[attr-defined]


@torch.no_grad()
def slopes(model: torch.nn.Module) -> dict[str, Tensor]:
    """Each layer's (β + γ) / 2, the mean of its heads, by name; nothing where a model has none."""
    layers = [module for module in model.modules() if isinstance(module, BiALiBi)]
    return {f"{SLOPES}{n}": (b.beta + b.gamma).float().mean() / 2 for n, b in enumerate(layers, start=1)}
