"""What is said of segments and kinds of answers besides spans: evidence, candidates, yes and no.

Legend: W windows, L tokens, M segments, K kinds of answers, C hidden width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.inference.span_decoding import SpanHead
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.window import Window


class Judgements(NamedTuple):
    """Of windows; each None where the model says nothing of it."""

    segments: Tensor | None  # <float32>[W, M], the probability of each segment
    kinds: Tensor | None  # <float32>[W, K], the probability of each kind of answer


def judgements(extra: Mapping[str, Any]) -> Judgements:
    """From a model's ``extra``: segments judged one by one."""
    segments, kinds = extra.get("segment_logits"), extra.get("type_logits")
    return Judgements(
        None if segments is None else segments.float().sigmoid(),
        None if kinds is None else kinds.float().softmax(dim=-1),
    )


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
) -> tuple[tuple[float, ...], str]:
    """A question's segments and its kind of answer, from its windows.

    A segment has its best window's probability, 0 where no window holds it. The kind is that of the window with the
    most probable segment; without segments, of the window surest of its kind.

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
    kind = ""
    if judged.kinds is not None and windows:
        kind = kinds[int(judged.kinds[surest.index(max(surest))].argmax())]
    return tuple(segments), kind


def for_each(judged: Sequence[Judgements], counts: Sequence[int]) -> list[Judgements]:
    """The judgements of each question, from those of successive rows; rows may be of unequal M."""

    def split(parts: list[Tensor | None]) -> Sequence[Tensor | None]:
        there = [part for part in parts if part is not None]
        if not there:
            return [None] * len(counts)
        width = max(part.shape[1] for part in there)
        padded = [torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in there]
        return torch.cat(padded).cpu().split(list(counts))

    if not judged:
        return [Judgements(None, None)] * len(counts)
    segments, kinds = (split(list(parts)) for parts in zip(*judged, strict=True))
    return [Judgements(s, k) for s, k in zip(segments, kinds, strict=True)]
