"""fairseq's masked_lm with the indices of masked tokens from the batch, so that the device is not synchronised."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from fairseq.criterions.masked_lm import MaskedLmLoss
from torch import Tensor

from fairseq_littlebird.data.batch import model_inputs
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.models.wrapped_model import unwrapped


class IndexedMaskedLmLoss(MaskedLmLoss):
    """The same loss and the same numbers in the log."""

    def forward(self, model: Any, sample: Any, reduce: bool = True) -> tuple[Tensor, Any, dict[str, Any]]:
        """Returns the summed loss, the number of masked tokens, and what to log (numbers, or tensors of one)."""
        if "masked" not in sample or not isinstance(unwrapped(model), EncoderModel):
            return super().forward(model, sample, reduce)
        index = sample["masked"]
        logits = model(**model_inputs(sample), masked_tokens=index)[0]
        target = sample["target"].flatten().index_select(0, index)
        loss = F.cross_entropy(logits.float(), target, reduction="sum")
        log = {"loss": loss.detach(), "sample_size": len(index)}
        return loss, len(index), log | {key: sample[key] for key in ("ntokens", "nsentences")}


IndexedMaskedLmLoss.__name__ = MaskedLmLoss.__name__  # fairseq resumes only with a criterion class of the same name
