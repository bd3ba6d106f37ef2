"""A batch of windows through a model, a slice at a time, to the predictions of its questions.

Legend: W windows of the batch, L tokens of the longest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fairseq_littlebird.inference.judging import Judgements, for_each, judge, judgements, span_probability
from fairseq_littlebird.inference.merging import Prediction, merge_windows
from fairseq_littlebird.inference.span_decoding import DecodedSpans, decode_spans
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.readers import CANDIDATES, DATA_SETS, LONG_ANSWERS, DataSet
from fairseq_littlebird.text.window import Window


def decode_windows(
    model: Any,
    net_input: Mapping[str, Any],
    selectable: Tensor,
    max_answer_length: int = 30,
    n_best: int = 20,
    max_tokens: int = 2**15,
    segments: str = "",
) -> Iterator[tuple[slice, dict[str, Any], DecodedSpans]]:
    """Encodes and decodes the rows of a batch slice by slice.

    Args:
        model: a LittleBirdModel with a span head, in evaluation mode.
        net_input: its inputs by name, tensors [W, …].
        selectable: <bool>[W, L], tokens that may start or end an answer.
        max_answer_length: in tokens.
        n_best: spans a window.
        max_tokens: encoded at a time; a question's windows travel together, but need not be encoded together.
        segments: what the segments of ``net_input`` are, see ``DataSet``.
    Yields:
        the rows; the model's ``extra`` for them, with their :class:`Judgements` under "judgements"; and their spans.
    """
    W, L = selectable.shape
    step = max(1, max_tokens // max(1, L))
    for first in range(0, W, step):
        rows = slice(first, min(first + step, W))
        inputs = {name: tensor[rows] for name, tensor in net_input.items()}
        hidden, extra = model(**inputs, features_only=True)
        question = inputs["questions"][:, :1]  # a window has one, with a column for each of its gold spans
        # a segment never ends at token 0
        extra["judgements"] = judgements(extra, inputs["segments"][..., 1] > 0 if segments == LONG_ANSWERS else None)
        if segments == CANDIDATES:
            scored = span_probability(model.span_head, hidden, question, selectable[rows], inputs["segments"])
            extra["judgements"] = extra["judgements"]._replace(segments=scored)
        yield (
            rows,
            extra,
            decode_spans(model.span_head, hidden, question, selectable[rows], max_answer_length, n_best=n_best),
        )


def merge_batch(
    examples: Sequence[QAExample],
    windows: Sequence[Sequence[Window]],
    spans: Sequence[DecodedSpans],
    n_best: int = 20,
    judged: Sequence[Judgements] = (),
    data_set: DataSet = DATA_SETS["squad"],
) -> list[Prediction]:
    """The predictions of a batch's questions.

    Args:
        examples: the questions.
        windows: the windows of each, in the order of the batch's rows.
        spans: what :func:`decode_windows` gave for those rows.
        n_best: candidates a question.
        judged: the judgements of those rows, if there are any.
        data_set: whose questions these are.
    """
    if not spans:  # no question has a window
        none = torch.zeros(0, 1)
        spans = [DecodedSpans(none, none, none, none[:, 0], none[:, 0])]
    counts = [len(own) for own in windows]
    parts = [torch.cat(parts).cpu().split(counts) for parts in zip(*spans, strict=True)]
    per_question = [DecodedSpans(*fields) for fields in zip(*parts, strict=True)]
    merged = [
        merge_windows(*question, n_best, shared=data_set.noisy, longest_words=data_set.longest_words)
        for question in zip(examples, windows, per_question, strict=True)
    ]
    kinds = data_set.answer_types
    verdicts = [judge(*q, kinds) for q in zip(examples, windows, for_each(judged, counts), strict=True)]
    return [
        replace(p, segments=s, answer_type=kind, type_probability=probability)
        for p, (s, kind, probability) in zip(merged, verdicts, strict=True)
    ]
