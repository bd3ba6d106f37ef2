"""Losses of segment predictions (appendix A.2).

Legend: B sequences, M segments.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

NO_SEGMENT = -1
"""What stands in gold labels where there is no segment, or nothing is known of it."""


def evidence_loss(logits: Tensor, gold: Tensor) -> Tensor:
    """Each segment by itself: binary cross-entropy, mean over a sequence's segments.

    Args:
        logits: <float>[B, M].
        gold: <int64>[B, M], 1 for evidence, 0 for none, ``NO_SEGMENT`` where there is no segment.
    Returns:
        <float32 or wider>[B]
    """
    there = gold.ne(NO_SEGMENT)
    loss = F.binary_cross_entropy_with_logits(logits.float(), gold.clamp(min=0).float(), reduction="none")
    return (loss * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def choice_log_probability(logits: Tensor, there: Tensor) -> Tensor:
    """Of each segment being the one, and first of none being it, whose logit is 0.

    Args:
        logits: <float>[B, M].
        there: <bool>[B, M], False where there is no segment.
    Returns:
        <float32 or wider>[B, 1 + M], -inf where there is no segment.
    """
    logits = logits.float().masked_fill(~there, float("-inf"))
    return F.pad(logits, (1, 0)).log_softmax(dim=-1)


def choice_loss(logits: Tensor, gold: Tensor) -> Tensor:
    """One of the segments or none: cross-entropy.

    Args:
        logits: <float>[B, M].
        gold: <int64>[B, M], 1 for the right one, 0 for others, ``NO_SEGMENT`` where there is no segment.
    Returns:
        <float32 or wider>[B]
    """
    chosen = F.pad(gold.eq(1).int(), (1, 0)).argmax(dim=-1)  # 0, none, where no segment is gold
    return F.nll_loss(choice_log_probability(logits, gold.ne(NO_SEGMENT)), chosen, reduction="none")


def candidate_loss(logits: Tensor, gold: Tensor) -> Tensor:
    """One of the segments: cross-entropy; 0 where none is gold.

    Args:
        logits: <float>[B, M].
        gold: <int64>[B, M], 1 for the right one, 0 for others, ``NO_SEGMENT`` where there is no segment.
    Returns:
        <float32 or wider>[B]
    """
    right = gold.eq(1)
    log_probability = logits.float().masked_fill(gold.eq(NO_SEGMENT), float("-inf")).log_softmax(dim=-1)
    return -log_probability.masked_fill(~right, 0).sum(dim=-1) / right.sum(dim=-1).clamp(min=1)
