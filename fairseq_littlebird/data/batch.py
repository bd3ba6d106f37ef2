"""Every key of a batch, with its shape, and how items become one.

Legend: B sequences, L tokens of the longest, Q questions, M segments and G global tokens of the fullest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from fairseq_littlebird.objectives.segments import NO_SEGMENT
from fairseq_littlebird.objectives.span_selection import NO_QUESTION
from fairseq_littlebird.text.window import Window


class NetInput(TypedDict, total=False):
    """What goes into the model by name."""

    src_tokens: Tensor  # <int64>[B, L]
    src_lengths: Tensor  # <int64>[B]
    positions: Tensor  # <int64>[B, L], with padding insertion alone
    questions: Tensor  # <int64>[B, Q], where the [QUESTION] tokens stand; 0 where there is none
    starts: Tensor  # <int64>[B, Q], gold starts; 0 where there is no question
    context_starts: Tensor  # <int64>[B], where the context begins after the question, or the second sequence of a pair
    segments: Tensor  # <int64>[B, M, 2], first and last token of sentences or candidates; 0 where there is none
    global_tokens: Tensor  # <bool>[B, L], of structured input to models whose global tokens are tokens of the text
    global_kinds: Tensor  # <int64>[B, G], this and the rest of structured input to models with others; -1: none
    global_groups: Tensor  # <int64>[B, G], the group of each global token
    global_owners: Tensor  # <int64>[B, L, 2], the global tokens that each token belongs to; -1 for none
    global_mentions: Tensor  # <int64>[B, L], the global token of the candidate that each token mentions; -1 for none
    segment_globals: Tensor  # <int64>[B, M], the global token of each segment; -1 for none


class SpanTarget(TypedDict, total=False):
    """Gold spans, inclusive; NO_QUESTION where there is no question."""

    starts: Tensor  # <int64>[B, Q]
    ends: Tensor  # <int64>[B, Q]
    segments: Tensor  # <int64>[B, M], 1 where gold, NO_SEGMENT where there is none
    answer_types: Tensor  # <int64>[B], NO_QUESTION where it has none
    gold_starts: Tensor  # <bool>[B, L], every token that starts an answer; where windows share a normaliser
    owners: Tensor  # <int64>[B], the item that each sequence belongs to; where windows share a normaliser


class SpanBatch(TypedDict, total=False):
    """A batch of span selection."""

    id: Tensor  # <int64>[items]
    nsentences: int
    ntokens: int
    net_input: NetInput
    target: SpanTarget
    selectable: Tensor  # <bool>[B, L], tokens that may start or end a span
    unpadded: Tensor  # <int64>[N], which of the [B · L] tokens are not padding
    lengths: list[int]  # B, tokens of each sequence
    last_context_start: int  # the largest of ``context_starts``
    question_index: Tensor  # <int64>[N], which of the [B · Q] questions are there
    questions: int  # how many a mean loss is of: those that are there; items, where windows share a normaliser
    dropped_global_tokens: int  # of structured input: parts of the windows that are too many to have one
    examples: list[Any]  # at evaluation: the QAExample of each item
    windows: list[Any]  # at evaluation: the windows of each item, in the order of the batch


class PairBatch(TypedDict, total=False):
    """A batch of masked language modelling and next-sentence prediction."""

    id: Tensor  # <int64>[B]
    nsentences: int
    ntokens: int
    net_input: NetInput
    target: Tensor  # <int64>[B, L], the tokens to predict, padding elsewhere
    is_next: Tensor  # <int64>[B], 1 where the second sequence follows the first
    unpadded: Tensor  # <int64>[N], which of the [B · L] tokens are not padding
    lengths: list[int]  # B, tokens of each sequence
    masked: Tensor  # <int64>[N], which of the [B · L] tokens are to be predicted
    bases: int  # of DNA, that the tokens to predict stand for


COUNTED = ("unpadded", "lengths", "last_context_start")
"""What a collater may tell of a batch, so that no device needs to be asked for it."""


def model_inputs(sample: Any) -> dict[str, Any]:
    """What a model of the plugin is given of a batch in training; what is ``COUNTED`` need not be there."""
    return {**sample["net_input"], **{name: sample[name] for name in COUNTED if name in sample}}


def with_counts(sample: Any, model: Any) -> Any:
    """A batch whose ``net_input`` has what is ``COUNTED``, for fairseq's criterions, where the model takes it."""
    if not sample or not getattr(model, "takes_counts", False):
        return sample
    return {**sample, "net_input": model_inputs(sample)}


def indices_not_equal(values: Tensor, value: int) -> Tensor:
    """Indices of what differs from ``value``: <int64>[B, L] to <int64>[N] of the [B · L]."""
    return values.ne(value).flatten().nonzero().squeeze(1)


def pad(arrays: Sequence[np.ndarray], value: int, last: bool = False, width: int = 0) -> Tensor:
    """Rows of unequal length to <int64>[B, L], padded on the right.

    Args:
        arrays: integer arrays [L_i].
        value: the padding.
        last: pad with each array's last entry instead, which keeps position ids non-decreasing.
        width: L at least.
    """
    L = max([width, *map(len, arrays)])
    out = np.full((len(arrays), L), value, dtype=np.int64)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
        if last and len(array):
            row[len(array) :] = array[-1]
    return torch.from_numpy(out)


def unpadded_length(tokens: np.ndarray, pad_id: int) -> int:
    """Of an array [L], the tokens up to the last one that is not padding."""
    found = np.flatnonzero(tokens != pad_id)
    return int(found[-1]) + 1 if len(found) else 0


def span_batch(
    tokens: Sequence[np.ndarray],
    positions: Sequence[np.ndarray] | None,
    questions: Sequence[np.ndarray],
    starts: Sequence[np.ndarray],
    ends: Sequence[np.ndarray],
    selectable: Sequence[np.ndarray],
    pad_id: int,
) -> SpanBatch:
    """Items of span selection to a batch; every argument has one array an item."""
    gold = pad(starts, NO_QUESTION, width=1)
    net_input = NetInput(
        src_tokens=pad(tokens, pad_id),
        src_lengths=torch.tensor([len(t) for t in tokens]),
        questions=pad(questions, 0, width=1),
        starts=gold.clamp(min=0),
    )
    if positions is not None:
        net_input["positions"] = pad(positions, 0, last=True)
    question_index = indices_not_equal(gold, NO_QUESTION)
    return SpanBatch(
        unpadded=indices_not_equal(net_input["src_tokens"], pad_id),
        lengths=[unpadded_length(t, pad_id) for t in tokens],
        question_index=question_index,
        questions=len(question_index),
        nsentences=len(tokens),
        ntokens=sum(map(len, tokens)),
        net_input=net_input,
        target=SpanTarget(starts=gold, ends=pad(ends, NO_QUESTION, width=1)),
        selectable=pad(selectable, 0).bool(),
    )


def add_segments_and_types(batch: SpanBatch, windows: Sequence[Window]) -> None:
    """Adds the segments of the windows, one entry each, and the types of their answers."""
    width = max((len(w.segments) for w in windows), default=0)
    segments = np.zeros((len(windows), width, 2), dtype=np.int64)
    for row, w in zip(segments, windows, strict=True):
        row[: len(w.segments)] = w.segments
    types = torch.tensor([w.answer_type if w.answer_type >= 0 else NO_QUESTION for w in windows])
    batch["net_input"]["segments"] = torch.from_numpy(segments)
    batch["target"]["segments"] = pad([w.gold_segments.astype(np.int64) for w in windows], NO_SEGMENT, width=width)
    batch["target"]["answer_types"] = types


def without_gold(batch: SpanBatch, segments: Tensor) -> None:
    """Takes the labels of segments <bool>[B, M] away: a model cannot score them."""
    batch["target"]["segments"] = batch["target"]["segments"].masked_fill(segments, NO_SEGMENT)
