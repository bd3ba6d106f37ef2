"""The recurring-span-selection criterion: logs the loss and the share of exact spans."""

# no postponed annotations: fairseq reads the types of the fields
import math
from dataclasses import dataclass
from typing import Any

from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_littlebird.criterions.logging_sums import logged, logging_sums
from fairseq_littlebird.data.batch import SpanBatch, model_inputs
from fairseq_littlebird.objectives.span_selection import SpanLoss, span_loss


@dataclass
class RecurringSpanSelectionCriterionConfig(FairseqDataclass):
    pass


@register_criterion("recurring_span_selection", dataclass=RecurringSpanSelectionCriterionConfig)
class RecurringSpanSelectionCriterion(FairseqCriterion):
    """-log p(start) - log p(end | start), averaged over the questions of a batch."""

    def __init__(self, cfg: RecurringSpanSelectionCriterionConfig, task: Any) -> None:
        super().__init__(task)

    def forward(self, model: Any, sample: SpanBatch, reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Returns the summed loss, the number of questions, and what to log (numbers, or tensors of one)."""
        loss = selection_loss(model, sample)
        return loss.start + loss.end, sample["questions"], logged(logging_output(loss, sample), model.training)

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        reduce_span_metrics(logging_outputs)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


def selection_loss(model: Any, sample: SpanBatch) -> SpanLoss:
    """The span loss of a batch, with the ends given the gold starts."""
    _, extra = model(**model_inputs(sample), features_only=True)
    return loss_of_logits(extra, sample)


def loss_of_logits(extra: dict[str, Any], sample: SpanBatch) -> SpanLoss:
    """The span loss of a batch whose logits a model has put into ``extra``."""
    target = sample["target"]
    return span_loss(extra["start_logits"], extra["end_logits"], target["starts"], target["ends"], sample["selectable"])


def logging_output(loss: SpanLoss, sample: SpanBatch) -> dict[str, Any]:
    """Sums, as tensors of one number where the device knows them: reading one would wait for all that it has to do."""
    return {
        "loss": (loss.start + loss.end).detach(),
        "start_loss": loss.start.detach(),
        "end_loss": loss.end.detach(),
        "exact": loss.exact,
        "sample_size": sample["questions"],
        "ntokens": sample["ntokens"],
        "nsentences": sample["nsentences"],
    }


def reduce_span_metrics(logging_outputs: list[dict[str, Any]]) -> None:
    """Logs the mean losses a question (in bits, as fairseq does) and ``accuracy``, exact spans in percent."""
    total = logging_sums(logging_outputs)
    questions = total.get("sample_size", 0)
    if not questions:
        return
    for name in ("loss", "start_loss", "end_loss"):
        metrics.log_scalar(name, total[name] / questions / math.log(2), questions, round=3)
    metrics.log_scalar("accuracy", 100 * total["exact"] / questions, questions, round=2)
