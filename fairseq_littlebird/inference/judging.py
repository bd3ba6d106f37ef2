"""What is said of segments and kinds of answers besides spans: evidence, candidates, yes and no.

Legend: W windows, L tokens, M segments, K kinds of answers, C hidden width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.inference.span_decoding import SpanHead
from fairseq_littlebird.text.example import NULL_TYPE, QAExample
from fairseq_littlebird.text.window import Window


class Judgements(NamedTuple):
    """Of windows; each None where the model says nothing of it."""

    segments: Tensor | None  # <float32>[W, M], the probability of each segment
    kinds: Tensor | None  # <float32>[W, K], the probability of each kind of answer


def judgements(extra: Mapping[str, Any], there: Tensor | None = None) -> Judgements:
    """From a model's ``extra``: segments judged one by one, or one of them chosen.

    Args:
        extra: what the model gave.
        there: <bool>[W, M], False where there is no segment; if given, one of the segments is chosen, or none.
    """
    segments, kinds = extra.get("segment_logits"), extra.get("type_logits")
    if segments is not None:
        segments = segments.float().sigmoid() if there is None else _choice(segments.float(), there)
    return Judgements(segments, None if kinds is None else kinds.float().softmax(dim=-1))


def _choice(logits: Tensor, there: Tensor) -> Tensor:
    """Of each segment being the one: <float>[W, M]; the logit of none is 0."""
    return F.pad(logits.masked_fill(~there, float("-inf")), (1, 0)).softmax(dim=-1)[:, 1:]


def span_probability(head: SpanHead, hidden: Tensor, questions: Tensor, selectable: Tensor, segments: Tensor) -> Tensor:
    """p(start) · p(end | start) of given spans, such as WikiHop's candidates.

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
    start = head.start_logits(hidden, questions)[:, 0].float().masked_fill(blocked, float("-inf")).log_softmax(dim=-1)
    end = head.end_logits(hidden, questions.expand(first.shape), first).float()
    end = end.masked_fill(blocked[:, None], float("-inf")).log_softmax(dim=-1)  # [W, M, L]
    return (start.gather(1, first) + end.gather(2, last[..., None]).squeeze(-1)).exp()


def judge(
    example: QAExample, windows: Sequence[Window], judged: Judgements, kinds: Sequence[str]
) -> tuple[tuple[float, ...], str, float]:
    """A question's segments, its kind of answer and how probable that is, from its windows.

    A segment has its best window's probability, 0 where no window holds it. The kind is that of one window: where
    windows without the answer are a kind, of the one least like that; else of the one with the most probable
    segment; without segments, of the one surest of its kind.

    Args:
        example: the question.
        windows: its windows.
        judged: of these windows.
        kinds: names of the kinds.
    """
    segments = [0.0] * len(example.segments)
    surest = [0.0] * len(windows)
    if judged.segments is not None:
        for w, (window, row) in enumerate(zip(windows, judged.segments.tolist(), strict=True)):
            for segment, probability in zip(window.segment_ids.tolist(), row, strict=False):
                segments[segment] = max(segments[segment], probability)
                surest[w] = max(surest[w], probability)
    elif judged.kinds is not None:
        surest = judged.kinds.amax(dim=-1).tolist()
    if judged.kinds is None or not windows:
        return tuple(segments), "", 0.0
    if NULL_TYPE in kinds:
        surest = (1 - judged.kinds[:, kinds.index(NULL_TYPE)]).tolist()
    probability, kind = judged.kinds[surest.index(max(surest))].max(dim=-1)
    return tuple(segments), kinds[int(kind)], float(probability)


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
        padded = [F.pad(part, (0, width - part.shape[1])) for part in there]
        return torch.cat(padded)[order].cpu().split(list(counts))

    if not judged:
        return [Judgements(None, None)] * len(counts)
    segments, kinds = (split(list(parts)) for parts in zip(*judged, strict=True))
    return [Judgements(s, k) for s, k in zip(segments, kinds, strict=True)]
