"""The loss of span selection: the start, then the end given the gold start (section 4.1, appendix A)."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

NO_QUESTION = -100


class SpanLoss(NamedTuple):
    """Sums over questions; divide by ``questions`` for the mean. Each is a scalar tensor."""

    start: Tensor
    end: Tensor
    exact: Tensor  # questions whose most likely start, and end given it, are both right
    questions: Tensor


def span_loss(start_logits: Tensor, end_logits: Tensor, starts: Tensor, ends: Tensor, selectable: Tensor) -> SpanLoss:
    """-log p(start) - log p(end | start), summed over the questions of a batch.

    Args:
        start_logits, end_logits: <float>[B, Q, L]; the ends conditioned on the gold starts.
        starts, ends: <int64>[B, Q], inclusive; ``NO_QUESTION`` where a sequence has fewer than Q questions.
        selectable: <bool>[B, L], tokens that may start or end a span.
    Returns:
        SpanLoss; ``exact`` is greedy decoding's exact match, as a right start is the one the ends were given.
    """
    blocked = ~selectable.unsqueeze(1)
    start_logits = start_logits.float().masked_fill(blocked, float("-inf"))
    end_logits = end_logits.float().masked_fill(blocked, float("-inf"))

    def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum", ignore_index=NO_QUESTION)

    exact = start_logits.argmax(dim=-1).eq(starts) & end_logits.argmax(dim=-1).eq(ends)
    return SpanLoss(
        start=cross_entropy(start_logits, starts),
        end=cross_entropy(end_logits, ends),
        exact=exact.sum(),
        questions=starts.ne(NO_QUESTION).sum(),
    )
