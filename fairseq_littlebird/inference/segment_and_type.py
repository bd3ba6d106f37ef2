"""What is said of segments and kinds of answers besides spans: evidence, candidates, yes and no.

Scores of segments are on one scale in all windows of a question; probabilities are made of them once all are there.

Legend: W windows, L tokens, M segments, K kinds of answers, C hidden width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.datasets import CANDIDATES, EVIDENCE, DataSet
from fairseq_littlebird.inference.span_decoding import SpanHead
from fairseq_littlebird.text.example import NULL_TYPE, QAExample
from fairseq_littlebird.text.window import Window


class Judgements(NamedTuple):
    """Of windows; each None where the model says nothing of it."""

    segments: Tensor | None  # <float32>[W, M], the score of each segment, -inf where there is none
    kinds: Tensor | None  # <float32>[W, K], the probability of each kind of answer


def judgements(extra: Mapping[str, Any], there: Tensor | None = None) -> Judgements:
    """From a model's ``extra``.

    Args:
        extra: what the model gave.
        there: <bool>[W, M], False where there is no segment; None where that makes no difference.
    """
    segments, kinds = extra.get("segment_logits"), extra.get("type_logits")
    if segments is not None:
        segments = segments.float() if there is None else segments.float().masked_fill(~there, float("-inf"))
    return Judgements(segments, None if kinds is None else kinds.float().softmax(dim=-1))


def span_scores(head: SpanHead, hidden: Tensor, questions: Tensor, selectable: Tensor, segments: Tensor) -> Tensor:
    """The scores of given spans, such as WikiHop's candidates, as :class:`DecodedSpans` has them.

    Args:
        head: scores starts, and ends given a start.
        hidden: <float>[W, L, C].
        questions: <int64>[W, 1], where [QUESTION] stands.
        selectable: <bool>[W, L].
        segments: <int64>[W, M, 2], first and last token, inclusive.
    Returns:
        <float32>[W, M]
    """
    first, last = segments.unbind(dim=-1)
    blocked = ~selectable
    start = head.start_logits(hidden, questions)[:, 0].float().masked_fill(blocked, float("-inf"))
    end = head.end_logits(hidden, questions.expand(first.shape), first).float()
    end = end.masked_fill(blocked[:, None], float("-inf")).log_softmax(dim=-1)  # [W, M, L]
    return start.gather(1, first) + end.gather(2, last[..., None]).squeeze(-1)


def segment_probability(scores: Sequence[float], segments: str, log_normaliser: float) -> tuple[float, ...]:
    """The probability of each segment of a question, from its score in the best of its windows.

    Args:
        scores: -inf of segments that no window holds.
        segments: what they are, see ``DataSet``.
        log_normaliser: log Σ exp of the start logits of all windows.
    """
    every = torch.tensor(scores, dtype=torch.float64)
    if segments == EVIDENCE:
        return tuple(every.sigmoid().tolist())
    if segments == CANDIDATES:
        return tuple((every - log_normaliser).exp().tolist())
    return tuple(F.pad(every, (1, 0)).softmax(dim=0)[1:].tolist())  # one of them, or none, whose score is 0


def judge(
    example: QAExample,
    windows: Sequence[Window],
    judged: Judgements,
    data_set: DataSet,
    log_normaliser: float = 0.0,
) -> tuple[tuple[float, ...], str, float]:
    """A question's segments, its kind of answer and how probable that is, from its windows.

    A segment has its score in its best window, and probability 0 where no window holds it. The kind is that of one
    window: where windows without the answer are a kind, of the one least like that; else of the one with the best
    segment; without segments, of the one surest of its kind.

    Args:
        example: the question.
        windows: its windows.
        judged: of these windows.
        data_set: whose question it is.
        log_normaliser: log Σ exp of the start logits of all windows.
    """
    if not windows:
        return (0.0,) * len(example.segments), "", 0.0
    scores, kinds = [-math.inf] * len(example.segments), data_set.answer_types
    best = [-math.inf] * len(windows)
    if judged.segments is not None:
        for w, (window, row) in enumerate(zip(windows, judged.segments.tolist(), strict=True)):
            for segment, score in zip(window.segment_ids.tolist(), row, strict=False):
                scores[segment] = max(scores[segment], score)
                best[w] = max(best[w], score)
    elif judged.kinds is not None:
        best = judged.kinds.amax(dim=-1).tolist()
    segments = segment_probability(scores, data_set.segments, log_normaliser)
    if judged.kinds is None:
        return segments, "", 0.0
    if NULL_TYPE in kinds:
        best = (1 - judged.kinds[:, kinds.index(NULL_TYPE)]).tolist()
    probability, kind = judged.kinds[best.index(max(best))].max(dim=-1)
    return segments, kinds[int(kind)], float(probability)


def for_each(judged: Sequence[Judgements], order: Tensor, counts: Sequence[int]) -> list[Judgements]:
    """The judgements of each question.

    Args:
        judged: of rows in any order; of unequal M.
        order: <int64>[W], which of all these rows is each question's first, second, …
        counts: windows of each question.
    """

    def split(parts: list[Tensor | None]) -> Sequence[Tensor | None]:
        there = [part for part in parts if part is not None]
        if not there:
            return [None] * len(counts)
        width = max(part.shape[1] for part in there)
        padded = [F.pad(part, (0, width - part.shape[1]), value=-math.inf) for part in there]
        return torch.cat(padded)[order].cpu().split(list(counts))

    if not judged:
        return [Judgements(None, None)] * len(counts)
    segments, kinds = (split(list(parts)) for parts in zip(*judged, strict=True))
    return [Judgements(s, k) for s, k in zip(segments, kinds, strict=True)]
