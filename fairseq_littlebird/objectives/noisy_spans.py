"""Spans where only the answer's text is known: any of its places may be meant (Clark and Gardner, 2018; appendix A.2).

Legend: W windows, L tokens, P gold spans, K questions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.objectives.span_selection import NO_QUESTION, SpanLoss

LOWEST = -1e30  # of what is not there: finite, so that a question without anything has a gradient of 0


def noisy_span_loss(
    start_logits: Tensor,
    end_logits: Tensor,
    starts: Tensor,
    ends: Tensor,
    gold_starts: Tensor,
    selectable: Tensor,
    owners: Tensor,
    questions: int | None = None,
) -> SpanLoss:
    """-log Σ p(start) p(end | start) over the gold spans, where all windows of a question share p(start).

    It is the sum of two parts, -log p(a gold start) and -log p(a gold end | a gold start). The first is over all
    gold starts; the second may be over a sample of them, and is exact where the spans are all there are.

    Args:
        start_logits: <float>[W, L].
        end_logits: <float>[W, P, L], given the starts.
        starts, ends: <int64>[W, P], gold spans, inclusive; ``NO_QUESTION`` where a window has fewer than P. Of one
            start in a window, all spans are here or none.
        gold_starts: <bool>[W, L].
        selectable: <bool>[W, L], tokens that may start or end a span.
        owners: <int64>[W], the question that each window belongs to, of 0 … K-1.
        questions: K; None asks the device.
    Returns:
        SpanLoss; ``exact`` counts the questions whose most likely start is a gold one, ``questions`` those that have
        a gold span. Others have no loss.
    """
    blocked, there = ~selectable, starts.ne(NO_QUESTION)
    scores = start_logits.float().masked_fill(blocked, LOWEST)  # [W, L]
    end = end_logits.float().masked_fill(blocked[:, None], float("-inf")).log_softmax(dim=-1)  # [W, P, L]
    end = end.gather(2, ends.clamp(min=0)[..., None]).squeeze(-1)  # [W, P]
    start = scores.gather(1, starts.clamp(min=0))
    first = there & ~(starts[:, :, None].eq(starts[:, None, :]).tril(-1) & there[:, None]).any(dim=-1)

    K = int(owners.max()) + 1 if questions is None else questions
    own = owners.eq(torch.arange(K, device=owners.device)[:, None])  # [K, W]

    def of_question(values: Tensor, asked: Tensor | None = None) -> Tensor:
        """log Σ exp over the windows of each question, <float>[W, …] to [K]; of what is asked alone."""
        asked_values = values if asked is None else values.masked_fill(~asked, LOWEST)
        return asked_values.logsumexp(1).where(own, LOWEST).logsumexp(1)

    counted = (own & there.any(dim=1)).any(dim=1)  # [K]
    every, gold = of_question(scores), of_question(scores, gold_starts)
    drawn, spans = of_question(start, first), of_question(start + end.masked_fill(~there, 0.0), there)
    best, best_gold = (
        t.amax(dim=1).where(own, LOWEST).amax(dim=1) for t in (scores, scores.masked_fill(~gold_starts, LOWEST))
    )
    return SpanLoss(
        (every - gold).where(counted, 0.0).sum(),
        (drawn - spans).where(counted, 0.0).sum(),
        (best.eq(best_gold) & counted).sum(),
        counted.sum(),
    )
