"""Span selection: the start first, then the end given the start (appendix A).

Heads with one interface. Each scores spans for Q questions a sequence; a question is the position of its
[QUESTION] token. Neither ever builds questions × tokens × hidden.

Legend: B batch, Q questions, L tokens, C hidden width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fairseq_littlebird.exporting import is_exporting
from fairseq_littlebird.layer_norm import LayerNorm

CPU_PAIRS, ACCELERATOR_PAIRS = 2**19, 2**26
"""Numbers of [h_end ; h_start] made at a time without gradients; on a CPU they stay in a core's own cache."""


class QuestionAwareSpanHead(nn.Module):
    """QASS (Ram et al., 2021) with a conditional end: the [QUESTION] representation is the query.

    start[q, l]   = (h_q + f(h_q)) · W h_l / √C
    end[q, l | s] = (h_s + g([h_q ; h_s])) · V h_l / √C

    f and g start at 0, W and V as the identity: a new head scores by likeness, which a small model trained from
    nothing learns from many times sooner than from random maps (docs/results.md).
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        C = embed_dim
        self.start_query = nn.Sequential(nn.Linear(C, C), nn.GELU(), nn.Linear(C, C))
        self.end_query = nn.Sequential(nn.Linear(2 * C, C), nn.GELU(), nn.Linear(C, C))
        self.start_key = nn.Linear(C, C)
        self.end_key = nn.Linear(C, C)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for query in (self.start_query, self.end_query):
            for parameter in query[-1].parameters():
                nn.init.zeros_(parameter)
        for key in (self.start_key, self.end_key):
            nn.init.eye_(key.weight)
            nn.init.zeros_(key.bias)

    def start_logits(self, hidden: Tensor, questions: Tensor) -> Tensor:
        """hidden <float>[B, L, C], questions <int64>[B, Q] to <float>[B, Q, L]."""
        h_q = take(hidden, questions)
        query = h_q + self.start_query(h_q)
        return query @ self.start_key(hidden).transpose(1, 2) * hidden.shape[-1] ** -0.5

    def end_logits(self, hidden: Tensor, questions: Tensor, starts: Tensor) -> Tensor:
        """hidden <float>[B, L, C], questions and starts <int64>[B, Q] to <float>[B, Q, L]."""
        h_q, h_s = take(hidden, questions), take(hidden, starts)
        query = h_s + self.end_query(torch.cat([h_q, h_s], dim=-1))
        return query @ self.end_key(hidden).transpose(1, 2) * hidden.shape[-1] ** -0.5


class LinearSpanHead(nn.Module):
    """Of appendix A.2: start by a linear layer, end by a double layer over [h_end ; h_start].

    The double layer's first half is split in two, so the pairs are never concatenated:
    end[l | s] = w · gelu(W_e h_l + W_s h_s). It ignores where the question stands.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.start = nn.Linear(embed_dim, 1)
        self.end_from_end = nn.Linear(embed_dim, embed_dim)
        self.end_from_start = nn.Linear(embed_dim, embed_dim, bias=False)
        self.end = nn.Linear(embed_dim, 1)

    def start_logits(self, hidden: Tensor, questions: Tensor) -> Tensor:
        """hidden <float>[B, L, C], questions <int64>[B, Q] to <float>[B, Q, L]."""
        return self.start(hidden).transpose(1, 2).expand(-1, questions.shape[1], -1)

    def end_logits(self, hidden: Tensor, questions: Tensor, starts: Tensor) -> Tensor:
        """hidden <float>[B, L, C], questions and starts <int64>[B, Q] to <float>[B, Q, L]."""
        from_end = self.end_from_end(hidden)
        from_starts = self.end_from_start(take(hidden, starts))
        if is_exporting():  # a graph loops over nothing but starts, whose number is fixed
            return torch.stack([self._one_start(from_end, s) for s in from_starts.unbind(1)], dim=1)
        if not torch.is_grad_enabled():
            return self._all_starts(from_end, from_starts)
        # one start at a time, computed again in the backward pass: [B, Q, L, C] would not fit
        return torch.stack(
            [checkpoint(self._one_start, from_end, s, use_reentrant=False) for s in from_starts.unbind(1)], dim=1
        )

    def _all_starts(self, from_end: Tensor, from_starts: Tensor) -> Tensor:
        """<float>[B, L, C] and <float>[B, Q, C] to <float>[B, Q, L], some tokens at a time."""
        (B, L, C), Q = from_end.shape, from_starts.shape[1]
        logits = from_end.new_empty(B, Q, L)
        some = max(1, (CPU_PAIRS if from_end.device.type == "cpu" else ACCELERATOR_PAIRS) // max(1, Q * C))
        for row, every, ends in zip(logits, from_starts.unsqueeze(2), from_end, strict=True):
            for part, end in zip(row.split(some, dim=1), ends.split(some), strict=True):
                part.copy_(self.end(F.gelu(end + every)).squeeze(-1))
        return logits

    def _one_start(self, from_end: Tensor, from_start: Tensor) -> Tensor:
        """<float>[B, L, C] and <float>[B, C] to <float>[B, L]."""
        return self.end(F.gelu(from_end + from_start.unsqueeze(1))).squeeze(-1)


class IndependentSpanHead(nn.Module):
    """Start and end by a linear layer each, the end whatever the start: as BERT and its descendants have it."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.start = nn.Linear(embed_dim, 1)
        self.end = nn.Linear(embed_dim, 1)

    def start_logits(self, hidden: Tensor, questions: Tensor) -> Tensor:
        """hidden <float>[B, L, C], questions <int64>[B, Q] to <float>[B, Q, L]."""
        return self.start(hidden).transpose(1, 2).expand(-1, questions.shape[1], -1)

    def end_logits(self, hidden: Tensor, questions: Tensor, starts: Tensor) -> Tensor:
        """hidden <float>[B, L, C], questions and starts <int64>[B, Q] to <float>[B, Q, L]."""
        return self.end(hidden).transpose(1, 2).expand(-1, starts.shape[1], -1)


class BigBirdSpanHead(IndependentSpanHead):
    """Start and end by a linear layer each over LayerNorm(W₂ gelu(W₁ h) + h): what BigBirdForQuestionAnswering of
    transformers has over its encoder, but for its dropout.

    Its weights there are ``fc1`` (qa_classifier.intermediate.dense), ``fc2`` and ``norm`` (qa_classifier.output.dense,
    .LayerNorm), ``start`` and ``end`` (rows 0 and 1 of qa_classifier.qa_outputs). The inner width is four times the
    outer one, gelu is the tanh approximation and the norm adds 1e-12, as in the released checkpoints.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__(embed_dim)
        self.fc1 = nn.Linear(embed_dim, 4 * embed_dim)
        self.fc2 = nn.Linear(4 * embed_dim, embed_dim)
        self.norm = LayerNorm(embed_dim, 1e-12)

    def features(self, hidden: Tensor) -> Tensor:
        """<float>[B, L, C] to the same shape."""
        return self.norm(self.fc2(F.gelu(self.fc1(hidden), approximate="tanh")) + hidden)

    def start_logits(self, hidden: Tensor, questions: Tensor) -> Tensor:
        return super().start_logits(self.features(hidden), questions)

    def end_logits(self, hidden: Tensor, questions: Tensor, starts: Tensor) -> Tensor:
        return super().end_logits(self.features(hidden), questions, starts)


SPAN_HEADS: dict[str, type[QuestionAwareSpanHead] | type[LinearSpanHead] | type[IndependentSpanHead]] = {
    "linear": LinearSpanHead,
    "independent": IndependentSpanHead,
    "bigbird": BigBirdSpanHead,
    "qass": QuestionAwareSpanHead,
}


def take(hidden: Tensor, index: Tensor) -> Tensor:
    """Rows of ``hidden`` <float>[B, L, C] at ``index`` <int64>[B, Q]: <float>[B, Q, C]."""
    return hidden.gather(1, index.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
