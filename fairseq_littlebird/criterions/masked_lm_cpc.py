"""Masked language modelling with contrastive predictive coding of masked sentences, for ETC's global tokens."""

# no postponed annotations: fairseq reads the types of the fields
import math
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_littlebird.criterions.logging_sums import logged, logging_sums
from fairseq_littlebird.data.batch import model_inputs
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.bigbird_etc import BigBirdETCModel
from fairseq_littlebird.models.wrapped_model import unwrapped
from fairseq_littlebird.objectives.contrastive import ContrastiveLoss, contrastive_loss, mask_sentences
from fairseq_littlebird.text.global_tokens import DOCUMENT, NOTHING, SENTENCE


@dataclass
class MaskedLMCPCCriterionConfig(FairseqDataclass):
    cpc_weight: float = field(
        default=0.25, metadata={"help": "weight of the contrastive loss, a mean over masked sentences"}
    )
    cpc_probability: float = field(default=0.1, metadata={"help": "probability that a sentence is masked"})
    cpc_sentence_ends: str = field(
        default=".?!", metadata={"help": "characters that end a sentence, without separators"}
    )


@register_criterion("masked_lm_cpc", dataclass=MaskedLMCPCCriterionConfig)
class MaskedLMCPCCriterion(FairseqCriterion):
    """The mean of -log p(token) over masked tokens, plus the weighted mean of the contrastive loss over sentences.

    All tokens of some sentences are masked, but for their global tokens. The output of such a global token is to be
    like that of the sentence by itself, and unlike those of the batch's other masked sentences (Ainslie et al., 2020).
    Tokens of masked sentences are not predicted. Outside training the same sentences of a batch are masked each time.
    """

    def __init__(self, cfg: MaskedLMCPCCriterionConfig, task: Any) -> None:
        super().__init__(task)
        if not hasattr(task, "sentence_ends"):
            raise UserError("no task for contrastive predictive coding", "--task", "take littlebird_masked_lm")
        if not cfg.cpc_weight >= 0:
            raise UserError(f"--cpc-weight {cfg.cpc_weight}", remedy="give a number from 0")
        if not 0 < cfg.cpc_probability <= 1:
            raise UserError(f"--cpc-probability {cfg.cpc_probability}", remedy="give a number above 0, up to 1")
        self.weight, self.probability = cfg.cpc_weight, cfg.cpc_probability
        ends, special = task.sentence_ends(cfg.cpc_sentence_ends)
        self.padding_idx, self.mask_idx = task.source_dictionary.pad(), task.mask_idx
        self.register_buffer("ends", torch.from_numpy(ends), persistent=False)
        self.register_buffer("special", torch.from_numpy(special), persistent=False)

    def forward(self, model: Any, sample: Any, reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Returns the loss times the number of predicted tokens, that number, and what to log (numbers, or tensors of
        one).

        Raises:
            UserError: the model has no global tokens of sentences.
        """
        own = unwrapped(model)
        if not isinstance(own, BigBirdETCModel) or not own.takes_structured_input:
            remedy = "take --arch bigbird_etc_base --structured-input"
            raise UserError("contrastive predictive coding needs global tokens of sentences", "--arch", remedy)
        tokens, target = sample["net_input"]["src_tokens"], sample["target"]
        plain = torch.where(target.ne(self.padding_idx), target, tokens)
        generator = None if model.training else torch.Generator().manual_seed(int(sample["id"][0]))
        drawn = mask_sentences(
            plain,
            self.ends,
            self.special,
            self.padding_idx,
            self.probability,
            own.cfg.global_tokens,
            generator,
        )
        kinds = drawn.there.long() * SENTENCE
        kinds[:, 0] = DOCUMENT
        kinds = kinds.masked_fill(~drawn.there, NOTHING)
        inputs = model_inputs(sample) | {
            "src_tokens": tokens.masked_fill(drawn.hidden, self.mask_idx),
            "global_kinds": kinds,
            "global_groups": drawn.there.long().cumsum(dim=1).clamp(max=2),  # the document, and all sentences
            "global_owners": torch.stack([drawn.owner, torch.full_like(drawn.owner, NOTHING)], dim=2),
            "global_mentions": torch.full_like(drawn.owner, NOTHING),
        }
        index = (target.ne(self.padding_idx) & ~drawn.hidden).flatten().nonzero().squeeze(1)
        logits, extra = model(**inputs, masked_tokens=index, alone=drawn.alone)
        token_loss = F.cross_entropy(logits.float(), target.flatten().index_select(0, index), reduction="sum")
        sentences, predicted = len(drawn.rows), len(index)
        found = ContrastiveLoss(token_loss.new_zeros(()), token_loss.new_zeros(()))
        if sentences:
            found = contrastive_loss(extra["global_states"][drawn.rows, drawn.columns], extra["alone"])
        log = {
            "token_loss": token_loss.detach(),
            "cpc_loss": found.loss.detach(),
            "cpc_correct": found.correct,
            "cpc_sentences": sentences,
            "cpc_batches": int(sentences > 0),
            "cpc_weight": self.weight * sentences,
            "sample_size": predicted,
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }
        loss = token_loss + self.weight * found.loss * (predicted / max(1, sentences))
        return loss, predicted, logged(log, model.training)

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Logs in bits ``loss``, ``token_loss`` and ``cpc_loss``; ``cpc_accuracy`` in percent of the masked sentences,
        and ``cpc_chance``, what guessing would have."""
        total = logging_sums(logging_outputs)
        predicted, sentences = total.get("sample_size", 0), total.get("cpc_sentences", 0)
        if not predicted:
            return
        token_loss = total["token_loss"] / math.log(2) / predicted
        metrics.log_scalar("token_loss", token_loss, predicted, round=3)
        cpc_loss = total["cpc_loss"] / math.log(2) / max(1, sentences)
        weight = total["cpc_weight"] / max(1, sentences)
        metrics.log_scalar("loss", token_loss + weight * cpc_loss, predicted, round=3)
        if sentences:
            metrics.log_scalar("cpc_loss", cpc_loss, sentences, round=3)
            metrics.log_scalar("cpc_accuracy", 100 * total["cpc_correct"] / sentences, sentences, round=2)
            metrics.log_scalar("cpc_chance", 100 * total["cpc_batches"] / sentences, sentences, round=2)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
