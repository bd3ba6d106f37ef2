"""The question-answering criterion: the span loss in training; exact match and F1 of merged windows at evaluation."""

# no postponed annotations: fairseq reads the types of the fields
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_littlebird.criterions.logging_sums import logged, logging_sums
from fairseq_littlebird.criterions.recurring_span_selection import logging_output, reduce_span_metrics
from fairseq_littlebird.data.answer_lengths import reachable
from fairseq_littlebird.data.batch import SpanBatch, SpanTarget, model_inputs
from fairseq_littlebird.datasets import DATASETS, DatasetSpec
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.answering import decode_windows, merge_batch
from fairseq_littlebird.inference.final_answer import gold_texts
from fairseq_littlebird.metrics.text_metric import TextMetric
from fairseq_littlebird.objectives.noisy_spans import noisy_span_loss
from fairseq_littlebird.objectives.segments import (
    NO_SEGMENT,
    candidate_loss,
    choice_log_probability,
    choice_loss,
    evidence_loss,
)
from fairseq_littlebird.objectives.span_selection import NO_QUESTION, SpanLoss, span_loss
from fairseq_littlebird.text.answer_spec import CANDIDATES, LONG_ANSWERS, Segments


@dataclass
class QuestionAnsweringCriterionConfig(FairseqDataclass):
    metric: Optional[str] = field(  # noqa: UP045 (fairseq reads no other spelling)
        default=None,
        metadata={"help": "data set whose exact match and F1 are computed in validation (default: its own)"},
    )
    max_answer_length: Optional[int] = field(  # noqa: UP045
        default=None,
        metadata={"help": "maximum answer length in tokens, in validation (default: that of littlebird-prepare qa)"},
    )
    null_threshold: Optional[float] = field(  # noqa: UP045 (fairseq reads no other spelling)
        default=None,
        metadata={"help": "predict no answer in validation if its log odds are above this (SQuAD 2.0: 0)"},
    )


@register_criterion("question_answering", dataclass=QuestionAnsweringCriterionConfig)
class QuestionAnsweringCriterion(FairseqCriterion):
    """-log p(start) - log p(end | start), averaged over the windows of a batch; a window without an answer
    points at [CLS]. Where windows of a question share a normaliser: one loss a question. Where the model predicts
    segments and answer types, their losses are added, means over a question's windows."""

    def __init__(self, cfg: QuestionAnsweringCriterionConfig, task: Any) -> None:
        super().__init__(task)
        self.spec: DatasetSpec = task.dataset_spec
        self.metric = self.spec.validation_metric if cfg.metric is None else named_metric(cfg.metric)
        self.max_answer_length: int = cfg.max_answer_length or task.max_answer_length
        if self.max_answer_length < 1:
            raise UserError(f"--max-answer-length {self.max_answer_length}", remedy="give a positive number of tokens")
        self.null_threshold = cfg.null_threshold

    def forward(self, model: Any, sample: SpanBatch, reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Returns the summed loss, the number of windows (questions if theirs share), and what to log (numbers, or
        tensors of one)."""
        if "examples" in sample and not model.training:  # a worker without data left trains on a validation batch
            return self.evaluate(model, sample)
        _, extra = model(**model_inputs(sample), features_only=True)
        loss = answer_loss(extra["start_logits"], extra["end_logits"], sample)
        if self._chooses_candidates(extra):
            loss = without_spans(loss)
        target = sample["target"]
        weights = window_weights(target, sample["nsentences"])
        more, counts = segment_and_type_losses(extra, target, self.spec.segments, weights)
        log = logging_output(loss, sample) | counts | dropped_global_tokens(sample)
        log["loss"] = log["loss"] + more.detach()
        return loss.start + loss.end + more, sample["questions"], logged(log, model.training)

    def evaluate(self, model: Any, sample: SpanBatch) -> tuple[Tensor, int, dict[str, Any]]:
        """As forward, with exact match and F1 summed over the questions (not the windows) of the batch."""
        target = sample["target"]
        decoded, parts = [], []
        weights = window_weights(target, sample["nsentences"])
        # the loss of noisy answers is of all windows together
        W, L = sample["selectable"].shape
        logits = torch.zeros(2, W, target["starts"].shape[1], L, device=target["starts"].device)
        for part, extra in decode_windows(
            model,
            sample["net_input"],
            sample["selectable"],
            self.max_answer_length,
            n_best=20 if self.spec.max_answer_words else 1,  # the first may have too many words
            segments=self.spec.segments,
        ):
            indices = part.indices
            for all_logits, name in zip(logits, ("start_logits", "end_logits"), strict=True):
                all_logits[indices, :, : extra[name].shape[-1]] = extra[name].to(all_logits)
            decoded.append(part)
            own = {name: t[indices] for name, t in target.items()}  # type: ignore[index]
            parts.append(segment_and_type_losses(extra, own, self.spec.segments, weights[indices]))
        nothing = SpanLoss(*torch.zeros(4).unbind())  # of a batch whose questions have no window
        loss = answer_loss(logits[0], logits[1], sample) if decoded else nothing
        if decoded and self._chooses_candidates(extra):
            loss = without_spans(loss)
        predictions = merge_batch(sample["examples"], sample["windows"], decoded, spec=self.spec)
        log = logging_output(loss, sample) | dropped_global_tokens(sample)
        # workers add up what they log by its place: the same names for every batch, also of questions without windows
        log |= dict.fromkeys(("segments", "evidence_right") if self.spec.segments else (), 0)
        log |= dict.fromkeys(("types", "type_right") if self.spec.answer_types else (), 0)
        for _, counts in parts:
            log |= {name: log.get(name, 0) + value for name, value in counts.items()}
        more = sum(loss for loss, _ in parts)
        log = logging_sums([log | {"loss": log["loss"] + more}])
        log |= {"qa_exact": 0.0, "qa_f1": 0.0, "qa_count": len(predictions)}
        questions = zip(sample["examples"], sample["windows"], strict=True)
        reached = [reachable(*question, self.max_answer_length, self.spec) for question in questions]
        log["qa_unreachable"] = reached.count(False)
        final_answer = self.spec.validation_answer or self.spec.final_answer
        for example, prediction in zip(sample["examples"], predictions, strict=True):
            text = final_answer(prediction, self.null_threshold).text
            golds = gold_texts(example)
            log["qa_exact"] += max(float(self.metric.exact_match(text, gold)) for gold in golds)
            log["qa_f1"] += max(float(self.metric.f1(text, gold)) for gold in golds)
        return loss.start + loss.end + more, sample["questions"], log

    def _chooses_candidates(self, extra: Mapping[str, Any]) -> bool:
        """Whether the model scores candidates by their global tokens: no span is learned then."""
        return self.spec.segments == CANDIDATES and "segment_logits" in extra

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Logs the losses; in validation ``exact_match`` and ``f1`` in percent of the questions.

        ``evidence_accuracy`` is the share of segments predicted right, or of windows whose long answer is;
        ``type_accuracy`` that of the answer types. ``unreachable``, where there are any: questions none of whose
        answers can be predicted, as they are too long, not found in the document, or in no window as a whole.
        ``dropped_global_tokens``, of structured input: parts of a question that have none, as there would be too many.
        """
        reduce_span_metrics(logging_outputs)
        total = logging_sums(logging_outputs)
        for name, of in (("evidence", "segments"), ("type", "types")):
            if total.get(of):
                metrics.log_scalar(f"{name}_accuracy", 100 * total[f"{name}_right"] / total[of], total[of], round=2)
        if total.get("dropped_global_tokens"):
            dropped, items = total["dropped_global_tokens"], total["nsentences"]
            metrics.log_scalar("dropped_global_tokens", dropped / items, items, round=2)
        count = total.get("qa_count", 0)
        if count:
            for name, key in (("exact_match", "qa_exact"), ("f1", "qa_f1")):
                metrics.log_scalar(name, 100 * total[key] / count, count, round=2)
            if total.get("qa_unreachable"):
                metrics.log_scalar("unreachable", 100 * total["qa_unreachable"] / count, count, round=2)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


def named_metric(dataset: str) -> TextMetric:
    """The validation metric of a data set.

    Raises:
        UserError: no such data set.
    """
    if dataset not in DATASETS:
        raise UserError(f"--metric {dataset}", remedy=f"choose {', '.join(DATASETS)}")
    return DATASETS[dataset].validation_metric


def answer_loss(start_logits: Tensor, end_logits: Tensor, sample: SpanBatch) -> SpanLoss:
    """The loss of the spans: <float>[B, Q, L] both, the ends given the gold starts."""
    target, selectable = sample["target"], sample["selectable"]
    if "owners" not in target:
        return span_loss(start_logits, end_logits, target["starts"], target["ends"], selectable)
    return noisy_span_loss(
        start_logits[:, 0],
        end_logits,
        target["starts"],
        target["ends"],
        target["gold_starts"],
        selectable,
        target["owners"],
        sample["nsentences"],
    )


def without_spans(loss: SpanLoss) -> SpanLoss:
    """The same without any effect of spans, whose head keeps a gradient: none."""
    return loss._replace(start=0.0 * loss.start, end=0.0 * loss.end)


def dropped_global_tokens(sample: SpanBatch) -> dict[str, int]:
    """What to log of parts without a global token; nothing where the input is not structured."""
    dropped = sample.get("dropped_global_tokens")
    return {} if dropped is None else {"dropped_global_tokens": dropped}


def window_weights(target: SpanTarget, items: int) -> Tensor:
    """<float32>[W]: 1, or its share in its question where the windows of a question have one loss together.

    Args:
        target: see ``SpanTarget``.
        items: questions of the batch.
    """
    owners = target.get("owners")
    if owners is None:
        return torch.ones(len(target["starts"]), device=target["starts"].device)
    windows = owners.eq(torch.arange(items, device=owners.device)[:, None]).sum(dim=1)
    return 1 / windows[owners]


def segment_and_type_losses(
    extra: Mapping[str, Any], target: Mapping[str, Any], segments: Segments, weights: Tensor
) -> tuple[Tensor, dict[str, Any]]:
    """The losses of segments and of answer types, summed over the windows, and how many were predicted right.

    Args:
        extra: what the model gave; without logits of segments and types the loss is 0.
        target: see ``SpanTarget``.
        segments: what they are, see ``AnswerSpec``.
        weights: <float32>[W], of the windows.
    """
    counts: dict[str, Any] = {}
    loss = extra["start_logits"].new_zeros((), dtype=torch.float32)
    if "segment_logits" in extra and "segments" in target:
        logits, gold = extra["segment_logits"], target["segments"]
        gold = gold[:, : logits.shape[1]]
        if segments == LONG_ANSWERS:
            loss = loss + (choice_loss(logits, gold) * weights).sum()
            best = choice_log_probability(logits, gold.ne(NO_SEGMENT)).argmax(dim=-1)
            counts["segments"] = len(gold)
            counts["evidence_right"] = best.eq(F.pad(gold.eq(1).int(), (1, 0)).argmax(dim=-1)).sum()
        elif segments == CANDIDATES:
            loss = loss + (candidate_loss(logits, gold) * weights).sum()
            best = logits.masked_fill(gold.eq(NO_SEGMENT), float("-inf")).argmax(dim=-1, keepdim=True)
            counts["segments"] = len(gold)
            counts["evidence_right"] = gold.gather(1, best).eq(1).sum()
        else:
            loss = loss + (evidence_loss(logits, gold) * weights).sum()
            there = gold.ne(NO_SEGMENT)
            counts["segments"] = there.sum()
            counts["evidence_right"] = ((logits > 0).eq(gold.eq(1)) & there).sum()
    if "type_logits" in extra and "answer_types" in target:
        logits, gold = extra["type_logits"], target["answer_types"]
        types = F.cross_entropy(logits.float(), gold, reduction="none", ignore_index=NO_QUESTION)
        loss = loss + (types * weights).sum()
        counts["types"] = gold.ne(NO_QUESTION).sum()
        counts["type_right"] = logits.argmax(dim=-1).eq(gold).sum()
    return loss, counts
