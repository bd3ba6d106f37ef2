"""Losses of judging segments, and kinds of answers (appendix A.2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

NO_SEGMENT = -1


def evidence_loss(logits: Tensor, gold: Tensor) -> Tensor:
    """Each segment by itself: binary cross-entropy, mean over a sequence's segments, summed over the sequences.

    Args:
        logits: <float>[B, M].
        gold: <int64>[B, M], 1 for evidence, 0 for none, ``NO_SEGMENT`` where there is no segment.
    Returns:
        <float32 or wider>, a scalar.
    """
    there = gold.ne(NO_SEGMENT)
    loss = F.binary_cross_entropy_with_logits(logits.float(), gold.clamp(min=0).float(), reduction="none")
    return ((loss * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)).sum()
