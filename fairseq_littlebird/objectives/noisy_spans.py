"""Spans where only the answer's text is known: any of its places may be meant (Clark and Gardner, 2018; appendix A.2).

Legend: W windows, L tokens, P gold spans.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.objectives.span_selection import NO_QUESTION, SpanLoss


def noisy_span_loss(
    start_logits: Tensor,
    end_logits: Tensor,
    starts: Tensor,
    ends: Tensor,
    gold_starts: Tensor,
    selectable: Tensor,
    owners: Tensor,
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
        owners: <int64>[W], the question that each window belongs to.
    Returns:
        SpanLoss; ``exact`` counts the questions whose most likely start is a gold one, ``questions`` those that have
        a gold span. Others have no loss.
    """
    blocked, there = ~selectable, starts.ne(NO_QUESTION)
    scores = start_logits.float().masked_fill(blocked, float("-inf"))  # [W, L]
    end = end_logits.float().masked_fill(blocked[:, None], float("-inf")).log_softmax(dim=-1)  # [W, P, L]
    end = end.gather(2, ends.clamp(min=0)[..., None]).squeeze(-1)  # [W, P]
    start = scores.gather(1, starts.clamp(min=0))
    first = there & ~(starts[:, :, None].eq(starts[:, None, :]).tril(-1) & there[:, None]).any(dim=-1)

    loss = torch.zeros(2, device=scores.device)
    exact = questions = 0
    for question in owners.unique():
        own = owners.eq(question)
        if not there[own].any():
            continue
        every, gold = scores[own], scores[own][gold_starts[own]]
        drawn, spans = start[own][first[own]], (start + end)[own][there[own]]
        loss = loss + torch.stack(
            [every.flatten().logsumexp(0) - gold.logsumexp(0), drawn.logsumexp(0) - spans.logsumexp(0)]
        )
        exact += int(gold.max() == every.max())
        questions += 1
    return SpanLoss(loss[0], loss[1], torch.tensor(exact), torch.tensor(questions))
