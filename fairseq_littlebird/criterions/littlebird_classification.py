"""The criterion of classification and regression; accuracy, F1 and correlations over a whole split."""

# no postponed annotations: fairseq reads the types of the fields
import math
from collections.abc import Callable, Sequence
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

from fairseq_littlebird.criterions.logging_sums import logged, logging_sums
from fairseq_littlebird.data.batch import model_inputs
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.problem_type import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from fairseq_littlebird.metrics.correlation import matthews, pearson, spearman


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
    regression_target: bool = field(
        default=False, metadata={"help": "of fairseq's own folders: the targets are numbers"}
    )


@register_criterion("littlebird_classification", dataclass=LittleBirdClassificationCriterionConfig)
class LittleBirdClassificationCriterion(FairseqCriterion):
    """The mean over the texts of a batch of -w[label] log p(label); where a text has several labels, of the mean over
    all labels of -w[label] log p(label) or, for those it does not have, -log (1 - p(label)); in regression of the
    squared error, the ends of the scores' range being 0 and 1."""

    def __init__(self, cfg: LittleBirdClassificationCriterionConfig, task: Any) -> None:
        super().__init__(task)
        if not isinstance(task, SentencePredictionTask):
            raise UserError("no task with labels", "--task", "take littlebird_sentence_prediction")
        self.head = cfg.classification_head_name
        given = getattr(task.cfg, "problem_type", SINGLE_LABEL)  # fairseq's own task has none
        self.problem_type = REGRESSION if cfg.regression_target else given
        if self.problem_type == REGRESSION and cfg.class_weights:
            raise UserError("scores have no classes", "--class-weights", "leave it out")
        # no buffer: fairseq would make it half precision
        self.weights = class_weights(cfg.class_weights, task.cfg.num_classes, self.problem_type)

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Returns the summed loss, the number of texts, and what to log: numbers, tensors of one, or, in validation,
        lists of numbers."""
        if "target" not in sample:
            raise UserError("this split has no labels", remedy="classify it with littlebird-predict")
        logits, _ = model(**model_inputs(sample), features_only=True, classification_head_name=self.head)
        logits, target = logits.float(), sample["target"]
        if self.problem_type == REGRESSION:
            return self._regression(logits, target.float().view(logits.shape), sample, model.training)
        weights = None if self.weights is None else self.weights.to(logits.device)
        B, K = logits.shape
        if self.problem_type == MULTI_LABEL:
            loss = F.binary_cross_entropy_with_logits(logits, target.float(), pos_weight=weights, reduction="sum") / K
            truth, predicted = target > 0.5, logits >= 0
        else:
            target = target.view(B)
            loss = F.cross_entropy(logits, target, weight=weights, reduction="sum")
            classes = torch.arange(K, device=logits.device)
            truth, predicted = (label[:, None] == classes for label in (target, logits.argmax(-1)))
        log: dict[str, Any] = {
            "loss": loss.detach(),
            "correct": (truth == predicted).all(-1).sum(),
            "sample_size": B,
            "ntokens": sample["ntokens"],
            "nsentences": B,
        }
        if not model.training:
            sides = {"hits": truth & predicted, "truths": truth, "guesses": predicted}
            counts = {name: side.sum(0).tolist() for name, side in sides.items()}
            log |= {f"{name}_{k}": counts[name][k] for name in sides for k in range(K)}
            log["multi_label"] = int(self.problem_type == MULTI_LABEL)
        return loss, B, logged(log, model.training)

    def _regression(
        self, scores: Tensor, target: Tensor, sample: dict[str, Any], training: bool
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """The squared errors of <float32>[B, 1] to others such, as :meth:`forward`."""
        loss, B = F.mse_loss(scores, target, reduction="sum"), len(scores)
        log = {"mse": loss.detach(), "sample_size": B, "ntokens": sample["ntokens"], "nsentences": B}
        if not training:  # of predictions as littlebird-predict clips them
            log |= {"scores": scores.detach().clamp(0, 1).flatten().tolist(), "targets": target.flatten().tolist()}
        return loss, B, logged(log, training)

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Logs ``loss`` in bits, as fairseq does, and in percent ``accuracy`` (all labels of a text at once); in
        validation ``micro_f1``, ``macro_f1``, ``mcc`` of one label a text, and ``f1``, ``sensitivity`` and
        ``specificity`` of the second of two labels, of the whole split, as ``littlebird-evaluate`` counts them. Of
        regression ``loss``, the mean squared error, and in validation ``pearson`` and ``spearman``, in percent."""
        total: dict[str, Any] = logging_sums(logging_outputs)
        texts = total.get("sample_size", 0)
        if not texts:
            return
        if "mse" in total:
            metrics.log_scalar("loss", total["mse"] / texts, texts, round=5)
            if "scores" in total:
                metrics.log_custom(ScorePairs, "_scores", total["scores"], total["targets"])
                metrics.log_derived("pearson", lambda meters: round(100 * meters["_scores"].correlation(pearson), 2))
                metrics.log_derived("spearman", lambda meters: round(100 * meters["_scores"].correlation(spearman), 2))
            return
        metrics.log_scalar("loss", total["loss"] / texts / math.log(2), texts, round=3)
        metrics.log_scalar("accuracy", 100 * total["correct"] / texts, texts, round=2)
        if "multi_label" in total:
            kinds = ("hits_", "truths_", "guesses_")
            counts = [[float(n) for key, n in total.items() if key.startswith(kind)] for kind in kinds]
            metrics.log_custom(LabelCounts, "_labels", *counts, bool(total["multi_label"]))
            metrics.log_derived("micro_f1", lambda meters: round(100 * meters["_labels"].micro_f1, 2))
            metrics.log_derived("macro_f1", lambda meters: round(100 * meters["_labels"].macro_f1, 2))

            if not total["multi_label"]:
                metrics.log_derived("mcc", lambda meters: round(100 * meters["_labels"].mcc, 2))
                if len(counts[0]) == 2:
                    metrics.log_derived("f1", lambda meters: round(100 * meters["_labels"].f1, 2))
                    metrics.log_derived("sensitivity", lambda meters: round(100 * meters["_labels"].recall(-1), 2))
                    metrics.log_derived("specificity", lambda meters: round(100 * meters["_labels"].recall(0), 2))

    def logging_outputs_can_be_summed(self) -> bool:
        """Not in regression: a rank needs every score."""
        return bool(self.problem_type != REGRESSION)


class LabelCounts(Meter):
    """True positives of each label, how often it is true and how often predicted, summed over batches.

    One meter for all labels: fairseq sorts all its meters again with each one that is added.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.hits: list[float] = []
        self.truths: list[float] = []
        self.guesses: list[float] = []
        self.multi_label = False

    def update(
        self, hits: Sequence[float], truths: Sequence[float], guesses: Sequence[float], multi_label: bool
    ) -> None:
        none = [0.0] * len(hits)
        self.hits = [a + b for a, b in zip(self.hits or none, hits, strict=True)]
        self.truths = [a + b for a, b in zip(self.truths or none, truths, strict=True)]
        self.guesses = [a + b for a, b in zip(self.guesses or none, guesses, strict=True)]
        self.multi_label = multi_label

    def state_dict(self) -> dict[str, Any]:
        return {
            "hits": self.hits,
            "truths": self.truths,
            "guesses": self.guesses,
            "multi_label": self.multi_label,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.hits, self.truths, self.guesses = (state_dict[name] for name in ("hits", "truths", "guesses"))
        self.multi_label = state_dict["multi_label"]

    @property
    def sizes(self) -> list[float]:
        return [a + b for a, b in zip(self.truths, self.guesses, strict=True)]

    @property
    def micro_f1(self) -> float:
        return 2 * sum(self.hits) / max(sum(self.sizes), 1.0)

    @property
    def macro_f1(self) -> float:
        """Of one label a text, over the labels that are true or predicted somewhere; of several, over all."""
        pairs = [(hit, size) for hit, size in zip(self.hits, self.sizes, strict=True) if size or self.multi_label]
        return sum(2 * hit / max(size, 1.0) for hit, size in pairs) / max(len(pairs), 1)

    @property
    def f1(self) -> float:
        """Of the last label, the second of two."""
        return 2 * self.hits[-1] / max(self.sizes[-1], 1.0)

    def recall(self, label: int) -> float:
        """The share of a label's texts that are given it."""
        return self.hits[label] / max(self.truths[label], 1.0)

    @property
    def mcc(self) -> float:
        return matthews(sum(self.hits), self.truths, self.guesses, sum(self.truths))

    @property
    def smoothed_value(self) -> float:
        return self.micro_f1


class ScorePairs(Meter):
    """The scores of a split, predicted and true."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.scores: list[float] = []
        self.targets: list[float] = []

    def update(self, scores: Sequence[float], targets: Sequence[float]) -> None:
        self.scores = [*self.scores, *scores]
        self.targets = [*self.targets, *targets]

    def state_dict(self) -> dict[str, Any]:
        return {"scores": self.scores, "targets": self.targets}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.scores, self.targets = state_dict["scores"], state_dict["targets"]

    def correlation(self, kind: Callable[[Sequence[float], Sequence[float]], float]) -> float:
        return kind(self.scores, self.targets)

    @property
    def smoothed_value(self) -> float:
        return float(len(self.scores))


# fairseq looks for the meters of a checkpoint there
meters.LabelCounts, meters.ScorePairs = LabelCounts, ScorePairs


def class_weights(text: str, num_classes: int, problem_type: str) -> Tensor | None:
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
    if problem_type == MULTI_LABEL and len(weights) == 1:
        weights *= num_classes
    if len(weights) != num_classes:
        raise UserError(f"{len(weights)} weights for {num_classes} classes", "--class-weights", "give one for each")
    if not all(0 < weight < math.inf for weight in weights):
        raise UserError(f"{text!r} are not all positive", "--class-weights", "give positive numbers")
    return torch.tensor(weights)
