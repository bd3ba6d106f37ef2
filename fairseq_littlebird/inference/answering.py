"""A batch of windows through a model, some at a time, to the predictions of its questions.

Legend: W windows of the batch, w of them encoded together, L tokens of the longest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.inference.merging import Prediction, merge_windows
from fairseq_littlebird.inference.segment_and_type import (
    WindowPredictions,
    for_each,
    merge_predictions,
    span_scores,
    window_predictions,
)
from fairseq_littlebird.inference.span_decoding import DecodedSpans, decode_spans
from fairseq_littlebird.text.answer_spec import CANDIDATES, LONG_ANSWERS, SPANS, AnswerSpec, Segments
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.window import Window

OF_TOKENS = ("src_tokens", "positions", "global_tokens", "global_owners", "global_mentions")
"""Inputs with an entry a token."""


class DecodedWindows(NamedTuple):
    """What was predicted of windows that were encoded together."""

    indices: Tensor  # <int64>[w], of the windows in the batch
    spans: DecodedSpans
    predicted: WindowPredictions


def decode_windows(
    model: Any,
    net_input: Mapping[str, Any],
    selectable: Tensor,
    max_answer_length: int = 30,
    n_best: int = 20,
    max_tokens: int = 2**15,
    segments: Segments = "",
) -> Iterator[tuple[DecodedWindows, Mapping[str, Any]]]:
    """Encodes and decodes the windows of a batch, the longest first, with those of about their length.

    Args:
        model: a LittleBirdModel with a span head, in evaluation mode.
        net_input: its inputs by name, tensors [W, …].
        selectable: <bool>[W, L], tokens that may start or end an answer.
        max_answer_length: in tokens.
        n_best: spans a window.
        max_tokens: encoded at a time; a question's windows travel together, but need not be encoded together.
        segments: what the segments of ``net_input`` are, see ``AnswerSpec``.
    Yields:
        what was predicted, and what else the model gave for these windows, its ``extra``.
    """
    lengths, order = net_input["src_lengths"].sort(descending=True, stable=True)
    for indices, length in by_tokens(order, lengths.tolist(), max_tokens):
        inputs = {name: tensor[indices] for name, tensor in net_input.items()}
        inputs |= {name: inputs[name][:, :length] for name in OF_TOKENS if name in inputs}
        allowed = selectable[indices, :length]
        hidden, extra = model(**inputs, features_only=True)
        question = inputs["questions"][:, :1]  # a window has one, with a column for each of its gold spans
        there = None
        if "segment_globals" in inputs:
            there = inputs["segment_globals"] >= 0
        elif segments == LONG_ANSWERS:  # a segment never ends at token 0
            there = inputs["segments"][..., 1] > 0
        predicted = window_predictions(extra, there)
        if segments == CANDIDATES and predicted.segments is None:
            scored = span_scores(model.span_head, hidden, question, allowed, inputs["segments"])
            predicted = predicted._replace(segments=scored)
        spans = decode_spans(model.span_head, hidden, question, allowed, max_answer_length, n_best=n_best)
        if segments == CANDIDATES and "segment_logits" in extra:
            assert predicted.segments is not None and there is not None
            scored = predicted.segments.log_softmax(dim=1).masked_fill(~there, float("-inf"))
            predicted = predicted._replace(segments=scored + spans.log_normaliser[:, None])
        yield DecodedWindows(indices, spans, predicted), extra


def by_tokens(order: Tensor, lengths: Sequence[int], max_tokens: int) -> Iterator[tuple[Tensor, int]]:
    """Parts of ``order`` <int64>[W] of at most ``max_tokens`` with padding, and the longest length of each.

    Args:
        lengths: of the windows in this order, descending.
    """
    first = 0
    while first < len(lengths):
        count = max(1, max_tokens // max(1, lengths[first]))
        yield order[first : first + count], lengths[first]
        first += count


def merge_batch(
    examples: Sequence[QAExample],
    windows: Sequence[Sequence[Window]],
    decoded: Sequence[DecodedWindows],
    n_best: int = 20,
    spec: AnswerSpec = SPANS,
) -> list[Prediction]:
    """The predictions of a batch's questions.

    Args:
        examples: the questions.
        windows: the windows of each, in the order of the batch.
        decoded: what :func:`decode_windows` gave for all of these windows.
        n_best: candidates a question.
        spec: of the questions' data set.
    """
    if not decoded:  # no question has a window
        none = torch.zeros(0, 1)
        spans = DecodedSpans(none, none, none, none[:, 0], none[:, 0])
        decoded = [DecodedWindows(none[:, 0].long(), spans, WindowPredictions(None, None))]
    counts = [len(own) for own in windows]
    back = torch.cat([part.indices for part in decoded]).argsort()
    fields = zip(*(part.spans for part in decoded), strict=True)
    split = [torch.cat(parts)[back].cpu().split(counts) for parts in fields]
    spans_of_each = [DecodedSpans(*own) for own in zip(*split, strict=True)]
    predicted_of_each = for_each([part.predicted for part in decoded], back, counts)
    predictions = []
    for example, own, spans, predicted in zip(examples, windows, spans_of_each, predicted_of_each, strict=True):
        found = merge_windows(example, own, spans, n_best, spec.max_answer_words)
        normaliser = spans.log_normaliser.logsumexp(dim=0).item()
        segments, answer_type, probability = merge_predictions(example, own, predicted, spec, normaliser)
        predictions.append(replace(found, segments=segments, answer_type=answer_type, type_probability=probability))
    return predictions
