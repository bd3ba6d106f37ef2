"""Segment and answer-type predictions, beside those of spans: evidence, candidates, yes and no.

Scores of segments are on one scale in all windows of a question; probabilities are made of them once all are there.

Legend: W windows, L tokens, M segments, K answer types, C hidden width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.inference.span_decoding import SpanHead
from fairseq_littlebird.text.answer_spec import CANDIDATES, EVIDENCE, AnswerSpec, Segments
from fairseq_littlebird.text.example import NULL_TYPE, QAExample
from fairseq_littlebird.text.window import Window


class WindowPredictions(NamedTuple):
    """Segment and answer-type predictions of windows; each None where the model has no head for it."""

    segments: Tensor | None  # <float32>[W, M], the score of each segment, -inf where there is none
    types: Tensor | None  # <float32>[W, K], the probability of each answer type


def window_predictions(extra: Mapping[str, Any], there: Tensor | None = None) -> WindowPredictions:
    """From a model's ``extra``.

    Args:
        extra: what the model gave.
        there: <bool>[W, M], False where there is no segment; None where that makes no difference.
    """
    segments, types = extra.get("segment_logits"), extra.get("type_logits")
    if segments is not None:
        segments = segments.float() if there is None else segments.float().masked_fill(~there, float("-inf"))
    return WindowPredictions(segments, None if types is None else types.float().softmax(dim=-1))


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


def segment_probability(scores: Sequence[float], segments: Segments, log_normaliser: float) -> tuple[float, ...]:
    """The probability of each segment of a question, from its score in the best of its windows.

    Args:
        scores: -inf of segments that no window holds.
        segments: what they are, see ``AnswerSpec``.
        log_normaliser: log Σ exp of the start logits of all windows.
    """
    every = torch.tensor(scores, dtype=torch.float64)
    if segments == EVIDENCE:
        return tuple(every.sigmoid().tolist())
    if segments == CANDIDATES:
        return tuple((every - log_normaliser).exp().tolist())
    return tuple(F.pad(every, (1, 0)).softmax(dim=0)[1:].tolist())  # one of them, or none, whose score is 0


def merge_predictions(
    example: QAExample,
    windows: Sequence[Window],
    predicted: WindowPredictions,
    spec: AnswerSpec,
    log_normaliser: float = 0.0,
) -> tuple[tuple[float, ...], str, float]:
    """A question's segments, its answer type and how probable that is, from its windows.

    A segment has its score in its best window, and probability 0 where no window holds it. The type is that of one
    window: where windows without the answer are a type, of the one least like that; else of the one with the best
    segment; without segments, of the one surest of its type.

    Args:
        example: the question.
        windows: its windows.
        predicted: of these windows.
        spec: of its data set.
        log_normaliser: log Σ exp of the start logits of all windows.
    """
    if not windows:
        return (0.0,) * len(example.segments), "", 0.0
    scores, types = [-math.inf] * len(example.segments), spec.answer_types
    best = [-math.inf] * len(windows)
    if predicted.segments is not None:
        for w, (window, row) in enumerate(zip(windows, predicted.segments.tolist(), strict=True)):
            for segment, score in zip(window.segment_ids.tolist(), row, strict=False):
                scores[segment] = max(scores[segment], score)
                best[w] = max(best[w], score)
    elif predicted.types is not None:
        best = predicted.types.amax(dim=-1).tolist()
    segments = segment_probability(scores, spec.segments, log_normaliser)
    if predicted.types is None:
        return segments, "", 0.0
    if NULL_TYPE in types:
        best = (1 - predicted.types[:, types.index(NULL_TYPE)]).tolist()
    probability, answer_type = predicted.types[best.index(max(best))].max(dim=-1)
    return segments, types[int(answer_type)], float(probability)


def for_each(predicted: Sequence[WindowPredictions], order: Tensor, counts: Sequence[int]) -> list[WindowPredictions]:
    """The predictions of each question.

    Args:
        predicted: of windows in any order; of unequal M.
        order: <int64>[W], which of all these windows is each question's first, second, …
        counts: windows of each question.
    """

    def split(parts: list[Tensor | None]) -> Sequence[Tensor | None]:
        there = [part for part in parts if part is not None]
        if not there:
            return [None] * len(counts)
        width = max(part.shape[1] for part in there)
        padded = [F.pad(part, (0, width - part.shape[1]), value=-math.inf) for part in there]
        return torch.cat(padded)[order].cpu().split(list(counts))

    if not predicted:
        return [WindowPredictions(None, None)] * len(counts)
    segments, types = (split(list(parts)) for parts in zip(*predicted, strict=True))
    return [WindowPredictions(s, t) for s, t in zip(segments, types, strict=True)]
