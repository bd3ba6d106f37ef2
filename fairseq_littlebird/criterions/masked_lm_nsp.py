"""Masked language modelling with next-sentence prediction; logs bits a token and bits a base."""

# no postponed annotations: fairseq reads the types of the fields
import math
from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_littlebird.criterions.logging_sums import logged, logging_sums
from fairseq_littlebird.data.batch import PairBatch, model_inputs
from fairseq_littlebird.errors import UserError


@dataclass
class MaskedLMNSPCriterionConfig(FairseqDataclass):
    nsp_weight: float = field(default=1.0, metadata={"help": "weight of next-sentence prediction in the loss"})


@register_criterion("masked_lm_nsp", dataclass=MaskedLMNSPCriterionConfig)
class MaskedLMNSPCriterion(FairseqCriterion):
    """The mean of -log p(token) over masked tokens, plus that of -log p(whether B follows A) over pairs (BERT)."""

    def __init__(self, cfg: MaskedLMNSPCriterionConfig, task: Any) -> None:
        super().__init__(task)
        if not getattr(task, "predicts_next_sentence", False):
            raise UserError("no task with pairs of sequences", "--task", "take dna_pretraining")
        if not cfg.nsp_weight >= 0:
            raise UserError(f"--nsp-weight {cfg.nsp_weight}", remedy="give a number from 0")
        self.nsp_weight = cfg.nsp_weight

    def forward(self, model: Any, sample: PairBatch, reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Returns the loss times the number of masked tokens, that number, and what to log (numbers, or tensors of
        one)."""
        index, is_next = sample["masked"], sample["is_next"]
        logits, extra = model(**model_inputs(sample), masked_tokens=index)
        target = sample["target"].flatten().index_select(0, index)
        token_loss = F.cross_entropy(logits.float(), target, reduction="sum")
        answers = extra["next_sentence_logits"].float()
        nsp_loss = F.cross_entropy(answers, is_next, reduction="sum")
        masked, pairs = len(index), len(is_next)
        log = {
            "token_loss": token_loss.detach(),
            "nsp_loss": nsp_loss.detach(),
            "nsp_correct": (answers.argmax(-1) == is_next).sum(),
            "nsp_weight": self.nsp_weight * pairs,
            "bases": sample["bases"],
            "sample_size": masked,
            "ntokens": sample["ntokens"],
            "nsentences": pairs,
        }
        return token_loss + self.nsp_weight * nsp_loss * (masked / pairs), masked, logged(log, model.training)

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Logs in bits ``loss``, ``bits_per_token``, ``bits_per_base`` (that of masked tokens over their bases, 2 of a
        uniform model) and ``nsp_loss``; and ``nsp_accuracy`` in percent."""
        total = logging_sums(logging_outputs)
        masked, pairs, bases = (total.get(key, 0) for key in ("sample_size", "nsentences", "bases"))
        if not masked:
            return
        bits, nsp_bits = total["token_loss"] / math.log(2), total["nsp_loss"] / math.log(2)
        weight = total["nsp_weight"] / pairs
        metrics.log_scalar("loss", bits / masked + weight * nsp_bits / pairs, masked, round=3)
        metrics.log_scalar("bits_per_token", bits / masked, masked, round=3)
        if bases:
            metrics.log_scalar("bits_per_base", bits / bases, bases, round=4)
        metrics.log_scalar("nsp_loss", nsp_bits / pairs, pairs, round=3)
        metrics.log_scalar("nsp_accuracy", 100 * total["nsp_correct"] / pairs, pairs, round=2)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
