"""The most probable spans of a window: p(start) · p(end | start), ends given each of the best starts.

Legend: W windows, L tokens, C hidden width, K starts kept, A tokens of the longest answer.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.exporting import is_exporting


class SpanHead(Protocol):
    """See :mod:`fairseq_littlebird.heads.span_selection`."""

    def start_logits(self, hidden: Tensor, questions: Tensor) -> Tensor: ...

    def end_logits(self, hidden: Tensor, questions: Tensor, starts: Tensor) -> Tensor: ...


class DecodedSpans(NamedTuple):
    """The best spans of each window, best first; score -inf where a window has fewer than N.

    Scores of all windows of a question compare: a span's log probability is its score minus the normaliser, be it the
    window's own or the logsumexp of those of all windows.
    """

    starts: Tensor  # <int64>[W, N]
    ends: Tensor  # <int64>[W, N], inclusive
    scores: Tensor  # <float32>[W, N], start logit + log p(end | start)
    null_score: Tensor  # <float32>[W], of the window having no answer: the start logit of [CLS]
    log_normaliser: Tensor  # <float32>[W], log Σ exp of the window's start logits


def decode_spans(
    head: SpanHead,
    hidden: Tensor,
    questions: Tensor,
    selectable: Tensor,
    max_answer_length: int = 30,
    beam: int = 16,
    n_best: int = 20,
) -> DecodedSpans:
    """
    Args:
        head: scores starts, and ends given a start.
        hidden: <float>[W, L, C].
        questions: <int64>[W, 1], where [QUESTION] stands.
        selectable: <bool>[W, L]: the context, and token 0 for "no answer".
        max_answer_length: A, in tokens.
        beam: K.
        n_best: N.
    """
    start_logits = head.start_logits(hidden, questions)[:, 0].float()  # [W, L]
    start_logits = start_logits.masked_fill(~selectable, float("-inf"))
    W, L = start_logits.shape
    context = selectable.clone()
    context[:, 0] = False
    # a graph for any L has no sizes that depend on it
    K, A = beam, max_answer_length if is_exporting() else min(max_answer_length, L)

    padded = F.pad(start_logits.masked_fill(~context, float("-inf")), (0, K), value=float("-inf"))
    best, starts = padded.topk(K, dim=-1)  # [W, K]
    starts = starts.clamp(max=L - 1)
    end_logits = head.end_logits(hidden, questions.expand(W, K), starts).float()
    end = end_logits.masked_fill(~selectable[:, None], float("-inf")).log_softmax(dim=-1)  # [W, K, L]
    # only the A tokens from each start on
    reach = starts[:, :, None] + torch.arange(A, device=starts.device)
    end = end.gather(2, reach.clamp(max=L - 1))
    allowed = context[:, None, :].expand(W, K, L).gather(2, reach.clamp(max=L - 1)) & (reach < L)
    score = (best[:, :, None] + end).masked_fill(~allowed, float("-inf")).flatten(1)  # [W, K · A]

    score = F.pad(score, (0, max(0, n_best - K * A)), value=float("-inf"))
    scores, at = score.topk(n_best, dim=-1)
    at = at.clamp(max=K * A - 1)
    chosen = starts.gather(1, at // A)
    return DecodedSpans(chosen, chosen + at % A, scores, start_logits[:, 0], start_logits.logsumexp(dim=-1))
