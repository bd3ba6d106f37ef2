"""The question-answering criterion: the span loss in training; exact match and F1 of merged windows at evaluation."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_littlebird.criterions.recurring_span_selection import (
    logging_output,
    reduce_span_metrics,
    selection_loss,
)
from fairseq_littlebird.data.batch import SpanBatch
from fairseq_littlebird.inference.answering import decode_windows, merge_batch
from fairseq_littlebird.metrics import korquad1, squad
from fairseq_littlebird.objectives.span_selection import SpanLoss, span_loss

METRICS = {"squad": squad, "korquad1": korquad1}


@dataclass
class QuestionAnsweringCriterionConfig(FairseqDataclass):
    metric: ChoiceEnum(list(METRICS)) = field(  # type: ignore[valid-type]
        default="squad", metadata={"help": "whose normalisation exact match and F1 use in validation"}
    )
    max_answer_length: int = field(default=30, metadata={"help": "tokens of an answer at most, in validation"})
    null_threshold: Optional[float] = field(  # noqa: UP045 (fairseq reads no other spelling)
        default=None,
        metadata={"help": "answer nothing in validation where the log odds of no answer are above this (SQuAD 2.0: 0)"},
    )


@register_criterion("question_answering", dataclass=QuestionAnsweringCriterionConfig)
class QuestionAnsweringCriterion(FairseqCriterion):
    """-log p(start) - log p(end | start), averaged over the windows of a batch; a window without an answer
    points at [CLS]."""

    def __init__(self, cfg: QuestionAnsweringCriterionConfig, task: Any) -> None:
        super().__init__(task)
        self.metric = METRICS[str(cfg.metric)]
        self.max_answer_length = cfg.max_answer_length
        self.null_threshold = cfg.null_threshold

    def forward(
        self, model: Any, sample: SpanBatch, reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, float | int]]:
        """Returns the summed loss, the number of windows, and what to log (plain numbers)."""
        if "examples" in sample:
            return self.evaluate(model, sample)
        loss = selection_loss(model, sample)
        return loss.start + loss.end, int(loss.questions), logging_output(loss, sample)

    def evaluate(self, model: Any, sample: SpanBatch) -> tuple[Tensor, int, dict[str, float | int]]:
        """As forward, with exact match and F1 summed over the questions (not the windows) of the batch."""
        target, selectable = sample["target"], sample["selectable"]
        losses, spans = [], []
        for rows, extra, decoded in decode_windows(
            model, sample["net_input"], selectable, self.max_answer_length, n_best=1
        ):
            logits = extra["start_logits"], extra["end_logits"]
            losses.append(span_loss(*logits, target["starts"][rows], target["ends"][rows], selectable[rows]))
            spans.append(decoded)
        nothing = SpanLoss(*torch.zeros(4).unbind())  # of a batch whose questions have no window
        loss = SpanLoss(*(sum(parts) for parts in zip(*losses, strict=True))) if losses else nothing
        predictions = merge_batch(sample["examples"], sample["windows"], spans)
        log = logging_output(loss, sample)
        log |= {"qa_exact": 0.0, "qa_f1": 0.0, "qa_count": len(predictions)}
        for example, prediction in zip(sample["examples"], predictions, strict=True):
            text = prediction.text(self.null_threshold)
            golds = [answer.text for answer in example.answers] or [""]
            log["qa_exact"] += max(float(self.metric.exact_match(text, gold)) for gold in golds)
            log["qa_f1"] += max(float(self.metric.f1(text, gold)) for gold in golds)
        return loss.start + loss.end, int(loss.questions), log

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Logs the losses; in validation ``exact_match`` and ``f1`` in percent of the questions."""
        reduce_span_metrics(logging_outputs)
        count = sum(log.get("qa_count", 0) for log in logging_outputs)
        if count:
            for name, key in (("exact_match", "qa_exact"), ("f1", "qa_f1")):
                total = sum(log.get(key, 0) for log in logging_outputs)
                metrics.log_scalar(name, 100 * total / count, count, round=2)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
