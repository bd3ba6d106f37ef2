"""The classification criterion, of one label or several a text; accuracy and F1 over a whole split."""

# no postponed annotations: fairseq reads the types of the fields
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import meters, metrics
from fairseq.logging.meters import Meter
from fairseq.tasks.sentence_prediction import SentencePredictionTask
from torch import Tensor

from fairseq_littlebird.errors import UserError


@dataclass
class LittleBirdClassificationCriterionConfig(FairseqDataclass):
    class_weights: str = field(
        default="",
        metadata={
            "help": "comma-separated class weights in the order of the labels; in multi-label classification, "
            "weights of positive examples, or one number for all labels"
        },
    )
    classification_head_name: str = field(
        default="sentence_classification_head", metadata={"help": "name of the classification head"}
    )
    # the task's options refer to it
    regression_target: bool = field(default=False, metadata={"help": "must be off: classes are not numbers"})


@register_criterion("littlebird_classification", dataclass=LittleBirdClassificationCriterionConfig)
class LittleBirdClassificationCriterion(FairseqCriterion):
    """The mean over the texts of a batch of -w[label] log p(label); where a text has several labels, of the mean over
    all labels of -w[label] log p(label) or, for those it does not have, -log (1 - p(label))."""

    def __init__(self, cfg: LittleBirdClassificationCriterionConfig, task: Any) -> None:
        super().__init__(task)
        if not isinstance(task, SentencePredictionTask):
            raise UserError("no task with labels", "--task", "take littlebird_sentence_prediction")
        if cfg.regression_target:
            raise UserError("classes are not numbers", "--regression-target", "take --criterion sentence_prediction")
        self.head = cfg.classification_head_name
        self.multi_label = bool(getattr(task.cfg, "multi_label", False))
        # no buffer: fairseq would make it half precision
        self.weights = class_weights(cfg.class_weights, task.cfg.num_classes, self.multi_label)

    def forward(
        self, model: Any, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, float | int]]:
        """Returns the summed loss, the number of texts, and what to log (plain numbers)."""
        if "target" not in sample:
            raise UserError("this split has no labels", remedy="classify it with littlebird-predict")
        logits, _ = model(**sample["net_input"], features_only=True, classification_head_name=self.head)
        logits, target = logits.float(), sample["target"]
        weights = None if self.weights is None else self.weights.to(logits.device)
        B, K = logits.shape
        if self.multi_label:
            loss = F.binary_cross_entropy_with_logits(logits, target.float(), pos_weight=weights, reduction="sum") / K
            truth, predicted = target > 0.5, logits >= 0
        else:
            target = target.view(B)
            loss = F.cross_entropy(logits, target, weight=weights, reduction="sum")
            truth, predicted = (F.one_hot(label, K).bool() for label in (target, logits.argmax(-1)))
        log: dict[str, float | int] = {
            "loss": float(loss.detach()),
            "correct": int((truth == predicted).all(-1).sum()),
            "sample_size": B,
            "ntokens": sample["ntokens"],
            "nsentences": B,
        }
        if not model.training:
            hits, sizes = (truth & predicted).sum(0).tolist(), (truth.sum(0) + predicted.sum(0)).tolist()
            log |= {f"hits_{k}": hits[k] for k in range(K)} | {f"sizes_{k}": sizes[k] for k in range(K)}
            log["multi_label"] = int(self.multi_label)
        return loss, B, log

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Logs ``loss`` in bits, as fairseq does, and in percent ``accuracy`` (all labels of a text at once); in
        validation ``micro_f1`` and ``macro_f1`` of the whole split, as ``littlebird-evaluate`` counts them."""
        total: dict[str, float] = {}
        for log in logging_outputs:
            for key, value in log.items():
                total[key] = total.get(key, 0) + value
        texts = total.get("sample_size", 0)
        if not texts:
            return
        metrics.log_scalar("loss", total["loss"] / texts / math.log(2), texts, round=3)
        metrics.log_scalar("accuracy", 100 * total["correct"] / texts, texts, round=2)
        if "multi_label" in total:
            counts = [[float(n) for key, n in total.items() if key.startswith(kind)] for kind in ("hits_", "sizes_")]
            metrics.log_custom(LabelCounts, "_labels", *counts, bool(total["multi_label"]))
            metrics.log_derived("micro_f1", lambda meters: round(100 * meters["_labels"].micro_f1, 2))
            metrics.log_derived("macro_f1", lambda meters: round(100 * meters["_labels"].macro_f1, 2))

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


class LabelCounts(Meter):
    """True positives of each label, and how often it is true plus how often predicted, summed over batches.

    One meter for all labels: fairseq sorts its meters anew with each one that is added.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.hits: list[float] = []
        self.sizes: list[float] = []
        self.multi_label = False

    def update(self, hits: Sequence[float], sizes: Sequence[float], multi_label: bool) -> None:
        none = [0.0] * len(hits)
        self.hits = [a + b for a, b in zip(self.hits or none, hits, strict=True)]
        self.sizes = [a + b for a, b in zip(self.sizes or none, sizes, strict=True)]
        self.multi_label = multi_label

    def state_dict(self) -> dict[str, Any]:
        return {"hits": self.hits, "sizes": self.sizes, "multi_label": self.multi_label}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.hits, self.sizes = state_dict["hits"], state_dict["sizes"]
        self.multi_label = state_dict["multi_label"]

    @property
    def micro_f1(self) -> float:
        return 2 * sum(self.hits) / max(sum(self.sizes), 1.0)

    @property
    def macro_f1(self) -> float:
        """Of one label a text, over the labels that are true or predicted somewhere; of several, over all."""
        pairs = [(hit, size) for hit, size in zip(self.hits, self.sizes, strict=True) if size or self.multi_label]
        return sum(2 * hit / max(size, 1.0) for hit, size in pairs) / max(len(pairs), 1)

    @property
    def smoothed_value(self) -> float:
        return self.micro_f1


meters.LabelCounts = LabelCounts  # fairseq looks for the meters of a checkpoint there


def class_weights(text: str, num_classes: int, multi_label: bool) -> Tensor | None:
    """<float>[K], or None where ``text`` is empty.

    Raises:
        UserError: not a positive number a class; or one number where a text has one label.
    """
    if not text:
        return None
    try:
        weights = [float(number) for number in text.split(",")]
    except ValueError as error:
        raise UserError(f"expected numbers, got {text!r}", "--class-weights", "give 1,2.5 or one number") from error
    if multi_label and len(weights) == 1:
        weights *= num_classes
    if len(weights) != num_classes:
        raise UserError(f"{len(weights)} weights for {num_classes} classes", "--class-weights", "give one for each")
    if not all(0 < weight < math.inf for weight in weights):
        raise UserError(f"{text!r} are not all positive", "--class-weights", "give positive numbers")
    return torch.tensor(weights)
