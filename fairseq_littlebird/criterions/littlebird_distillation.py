"""Distillation of a frozen full-attention teacher into LittleBird (section 3.4, step 2)."""

# no postponed annotations: fairseq reads the types of the fields
import argparse
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from fairseq.tasks.masked_lm import MaskedLMTask
from torch import Tensor

from fairseq_littlebird.criterions.layer_kl import layer_kl, sampled_queries
from fairseq_littlebird.criterions.logging_sums import logged, logging_sums
from fairseq_littlebird.criterions.recurring_span_selection import loss_of_logits
from fairseq_littlebird.data.batch import SpanBatch, indices_not_equal, model_inputs
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.models.littlebird import LittleBirdModel
from fairseq_littlebird.models.teacher import PRECISIONS, load_teacher
from fairseq_littlebird.models.wrapped_model import unwrapped
from fairseq_littlebird.modules.config import EncoderConfig, LittleBirdConfig
from fairseq_littlebird.objectives.attention_alignment import HEADS
from fairseq_littlebird.objectives.distillation import hidden_state_distance, soft_target_kl


@dataclass
class LittleBirdDistillationCriterionConfig(FairseqDataclass):
    teacher_path: str = field(
        default="", metadata={"help": "checkpoint of the teacher, a full_attention model with the student's vocabulary"}
    )
    temperature: float = field(default=1.0, metadata={"help": "temperature of the soft targets"})
    soft_weight: float = field(default=1.0, metadata={"help": "weight of the soft-target KL divergence; 0: off"})
    attention_weight: float = field(default=1.0, metadata={"help": "weight of the attention KL divergence; 0: off"})
    hidden_weight: float = field(
        default=0.0,
        metadata={
            "help": "weight of the squared distance of the last hidden states, relative to the teacher's; 0: off"
        },
    )
    hard_weight: float = field(
        default=0.0, metadata={"help": "weight of the task's own loss; with 0 it is only logged in validation"}
    )
    layer_map: str = field(
        default="",
        metadata={"help": "comma-separated teacher layers, one per student layer, from 1 (default: evenly spaced)"},
    )
    attention_heads: ChoiceEnum(HEADS) = field(  # type: ignore[valid-type]
        default="paired", metadata={"help": "compare heads one by one, or their mean"}
    )
    attention_queries: int = field(
        default=0,
        metadata={"help": "neighbouring query positions per batch to compare in training, drawn at random; 0: all"},
    )
    attention_rows: int = field(default=0, metadata={"help": argparse.SUPPRESS})  # the older name of attention_queries
    teacher_precision: ChoiceEnum(PRECISIONS) = field(  # type: ignore[valid-type]
        default="auto", metadata={"help": "precision of the teacher; auto: half precision on accelerators"}
    )


class Answers(NamedTuple):
    """How the student's answers compare, scalar tensors summed over the targets; and what its layers did."""

    soft: Tensor | None  # from the teacher's answers; None where not asked for
    hard: Tensor | None  # from the right ones; None where not asked for
    exact: Tensor | None  # spans found, of recurring spans
    targets: int  # how many
    student: Any  # a LittleBirdInternals a layer
    teacher: Any  # a FullAttentionInternals a layer
    hidden: Tensor | None  # distance of the last hidden states, over unpadded tokens; None where not asked for


@register_criterion("littlebird_distillation", dataclass=LittleBirdDistillationCriterionConfig)
class LittleBirdDistillationCriterion(FairseqCriterion):
    """soft_weight · soft / N + hard_weight · hard / N + attention_weight · attention + hidden_weight · hidden.

    The N targets are the masked tokens or the questions of a batch. ``soft`` is the KL of the student's distributions
    from the teacher's, ``hard`` the task's own loss, ``attention`` the KL of the student's attention probabilities from
    the teacher's: the mean over layers, heads and unpadded queries; ``hidden`` the mean over unpadded tokens of
    :func:`hidden_state_distance`. These two need no targets. Batches of one update count by their unpadded tokens;
    where both are left out, by their targets.
    """

    def __init__(self, cfg: LittleBirdDistillationCriterionConfig, task: Any) -> None:
        super().__init__(task)
        self.cfg = cfg
        if not isinstance(task, MaskedLMTask):
            raise UserError("no task to distil on", "--task", "take littlebird_masked_lm or recurring_span_selection")
        if cfg.temperature <= 0:
            raise UserError(f"{cfg.temperature} is not positive", "--temperature", "take 1")
        if min(cfg.soft_weight, cfg.attention_weight, cfg.hidden_weight, cfg.hard_weight) < 0:
            names = "--soft-, --attention-, --hidden- or --hard-weight"
            raise UserError("a weight is negative", names, "take 0 or more")
        if not (cfg.soft_weight or cfg.attention_weight or cfg.hidden_weight):
            names = "--soft-weight, --attention-weight and --hidden-weight"
            raise UserError("all are 0: nothing to distil", names, "raise one")
        if not cfg.teacher_path:
            raise UserError("no teacher is given", "--teacher-path", "name its checkpoint")
        self.teacher = load_teacher(cfg.teacher_path, task.source_dictionary, str(cfg.teacher_precision))

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Returns W times the loss, W, the batch's weight in its update, and what to log (numbers, or tensors of
        one)."""
        config = self.student_config(model)
        if "unpadded" not in sample:
            sample = sample | {"unpadded": indices_not_equal(sample["net_input"]["src_tokens"], self.padding_idx)}
        answers = self.spans(model, sample) if "selectable" in sample else self.tokens(model, sample)
        N = answers.targets
        W = len(sample["unpadded"]) if self.cfg.attention_weight or self.cfg.hidden_weight else N
        log: dict[str, Any] = {key: sample[key] for key in ("ntokens", "nsentences")}
        log |= {"sample_size": W, "targets": N}
        terms = []
        for name, weight, term in (
            ("soft_loss", self.cfg.soft_weight, answers.soft),
            ("hard_loss", self.cfg.hard_weight, answers.hard),
        ):
            if term is not None:
                terms.append(weight * term * W / max(N, 1))
                log[name] = term.detach()
        if self.cfg.attention_weight:
            student = cast(LittleBirdConfig, config)
            layers, log["queries"] = self.attention(answers, sample, student, model.training)
            terms.append(self.cfg.attention_weight * W * torch.stack(layers).mean() / log["queries"].clamp(min=1))
            log |= {f"attention_kl_{n}": kl.detach() for n, kl in enumerate(layers, start=1)}
        if answers.hidden is not None:
            terms.append(self.cfg.hidden_weight * answers.hidden)
            log["hidden_loss"] = answers.hidden.detach()
        if answers.exact is not None:
            log["exact"] = answers.exact
        loss = torch.stack(terms).sum()
        log["loss"] = loss.detach()
        return loss, W, logged(log, model.training)

    def tokens(self, model: Any, sample: dict[str, Any]) -> Answers:
        """Of masked tokens: the distributions over the vocabulary."""
        masked, soft = sample.get("masked"), self.cfg.soft_weight > 0
        if masked is None:
            masked = indices_not_equal(sample["target"], self.padding_idx)
        hard = self.cfg.hard_weight > 0 or not model.training  # validation tells it in any case
        if soft and self.teacher.model.lm_head is None:
            raise self.headless("LM head", "fairseq-train --task littlebird_masked_lm --criterion masked_lm")
        options: dict[str, Any] = {"masked_tokens": masked, "return_attention_internals": self.cfg.attention_weight > 0}
        theirs, teacher = self.teacher(**model_inputs(sample), **options, features_only=not soft)
        ours, student = model(**model_inputs(sample), **options, features_only=not (soft or hard))
        target = sample["target"].flatten().index_select(0, masked)
        return Answers(
            soft=soft_target_kl(ours, theirs, self.cfg.temperature) if soft else None,
            hard=F.cross_entropy(ours.float(), target, reduction="sum") if hard else None,
            exact=None,
            targets=len(masked),
            student=student["attention_internals"],
            teacher=teacher["attention_internals"],
            hidden=self.hidden(student["hidden"], teacher["hidden"], sample["unpadded"]),
        )

    def spans(self, model: Any, sample: dict[str, Any]) -> Answers:
        """Of recurring spans: the distributions over starts, and over ends given the gold starts."""
        net_input = model_inputs(sample)
        internals = self.cfg.attention_weight > 0
        _, student = model(**net_input, features_only=True, return_attention_internals=internals)
        if not self.cfg.soft_weight:
            net_input = {name: net_input[name] for name in ("src_tokens", "unpadded")}
        elif self.teacher.model.span_head is None:
            raise self.headless("span head", "fairseq-train --task recurring_span_selection")
        _, teacher = self.teacher(**net_input, features_only=True, return_attention_internals=internals)
        loss = loss_of_logits(student, cast(SpanBatch, sample))
        blocked = ~sample["selectable"].unsqueeze(1)

        def soft(name: str) -> Tensor:
            ours, theirs = (
                extra[name].masked_fill(blocked, float("-inf")).flatten(0, 1).index_select(0, sample["question_index"])
                for extra in (student, teacher)
            )
            return soft_target_kl(ours, theirs, self.cfg.temperature)

        return Answers(
            soft=soft("start_logits") + soft("end_logits") if self.cfg.soft_weight else None,
            hard=loss.start + loss.end if self.cfg.hard_weight or not model.training else None,
            exact=loss.exact,
            targets=sample["questions"],
            student=student["attention_internals"],
            teacher=teacher["attention_internals"],
            hidden=self.hidden(student["hidden"], teacher["hidden"], sample["unpadded"]),
        )

    def hidden(self, student: Tensor, teacher: Tensor, unpadded: Tensor) -> Tensor | None:
        """The distance of the last hidden states <float>[B, L, C], summed over the unpadded tokens <int64>[N]."""
        if not self.cfg.hidden_weight:
            return None
        ours, theirs = (states.flatten(0, 1).index_select(0, unpadded) for states in (student, teacher))
        return hidden_state_distance(ours, theirs)

    def attention(
        self, answers: Answers, sample: dict[str, Any], config: LittleBirdConfig, training: bool
    ) -> tuple[list[Tensor], Tensor]:
        """The attention KL of each of the student's layers, summed over the unpadded queries; and their number."""
        net_input = sample["net_input"]
        padding_mask = net_input["src_tokens"].eq(self.padding_idx)
        is_padded = len(sample["unpadded"]) < padding_mask.numel()
        count = self.cfg.attention_queries or self.cfg.attention_rows
        queries = sampled_queries(padding_mask.shape[1], count if training else 0)
        teachers = layer_map(self.cfg.layer_map, config.layers, self.teacher.config.layers)
        heads, positions = str(self.cfg.attention_heads), net_input.get("positions")
        layers = [
            layer_kl(answers.teacher[n - 1], student, positions, padding_mask, config, heads, queries, is_padded)
            for n, student in zip(teachers, answers.student, strict=True)
        ]
        return layers, (~padding_mask[:, queries]).sum()

    def student_config(self, model: Any) -> EncoderConfig:
        """Raises UserError where the student is none, or does not fit the teacher."""
        model = unwrapped(model)
        if not isinstance(model, EncoderModel):
            raise UserError("no model of this plugin", "--arch", "take one of this plugin's")
        if self.cfg.attention_weight and not isinstance(model, LittleBirdModel):
            remedy = "distil only soft targets with --attention-weight 0, or take littlebird_base"
            raise UserError("attention can be distilled only into LittleBird", f"--arch of {model.title}", remedy)
        config: EncoderConfig = model.encoder.config
        widths = config.embed_dim, self.teacher.config.embed_dim
        if self.cfg.hidden_weight and widths[0] != widths[1]:
            raise UserError(
                f"the student's hidden states have {widths[0]} channels, the teacher's {widths[1]}",
                self.cfg.teacher_path,
                "leave them out with --hidden-weight 0, or give the student as many",
            )
        ours, theirs = config.heads, self.teacher.config.heads
        if self.cfg.attention_weight and str(self.cfg.attention_heads) == "paired" and ours != theirs:
            raise UserError(
                f"the student has {ours} heads, the teacher {theirs}, which leaves no pairs",
                self.cfg.teacher_path,
                "compare their means with --attention-heads mean, or give the student as many",
            )
        if self.cfg.attention_weight and config.layerdrop:
            raise UserError("layers that are dropped have no attention", "--encoder-layerdrop", "leave it at 0")
        return config

    def headless(self, head: str, command: str) -> UserError:
        """What to say of a teacher that cannot answer."""
        remedy = f"train one with {command}, or leave soft targets out with --soft-weight 0"
        return UserError(f"the teacher has no {head}", self.cfg.teacher_path, remedy)

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Logs means in bits, as fairseq does: ``loss``, ``soft_loss`` and ``hard_loss`` a target,
        ``attention_loss`` and each layer's ``attention_kl_…`` a query; ``accuracy`` is exact spans in percent, and
        ``hidden_loss`` a mean over tokens, without a unit."""
        total = logging_sums(logging_outputs)
        weight, targets, queries = (total.get(key, 0) for key in ("sample_size", "targets", "queries"))
        layers = [key for key in total if key.startswith("attention_kl_")]
        if weight:
            metrics.log_scalar("loss", total["loss"] / weight / math.log(2), weight, round=3)
        if weight and "hidden_loss" in total:
            metrics.log_scalar("hidden_loss", total["hidden_loss"] / weight, weight, round=4)
        if targets:
            for name in ("soft_loss", "hard_loss"):
                if name in total:
                    metrics.log_scalar(name, total[name] / targets / math.log(2), targets, round=3)
            if "exact" in total:
                metrics.log_scalar("accuracy", 100 * total["exact"] / targets, targets, round=2)
        if queries:
            mean = sum(total[key] for key in layers) / len(layers)
            metrics.log_scalar("attention_loss", mean / queries / math.log(2), queries, round=4)
            for key in layers:
                metrics.log_scalar(key, total[key] / queries / math.log(2), queries, round=4)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


def layer_map(text: str, layers: int, teacher_layers: int) -> list[int]:
    """The teacher's layer for each of the student's, from 1: as ``text`` says, else evenly spaced, last to last.

    Raises:
        UserError: ``text`` has another number of layers than the student, or one that the teacher has not.
    """
    if not text:
        return [-(-n * teacher_layers // layers) for n in range(1, layers + 1)]
    where = "--layer-map"
    try:
        chosen = [int(n) for n in text.split(",")]
    except ValueError as error:
        raise UserError(f"expected a list of numbers, got {text!r}", where, "write it as 2,4,6") from error
    if len(chosen) != layers:
        raise UserError(f"{len(chosen)} layers for the student's {layers}", where, "name one for each")
    if not all(1 <= n <= teacher_layers for n in chosen):
        raise UserError(f"{text} is not within the teacher's layers", where, f"take 1 to {teacher_layers}")
    return chosen
