"""Segments and answer types of whole questions from those of their windows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.inference.segment_and_type import (
    WindowPredictions,
    for_each,
    merge_predictions,
    span_scores,
    window_predictions,
)
from fairseq_littlebird.inference.span_decoding import decode_spans
from fairseq_littlebird.text.example import QAExample, Segment
from fairseq_littlebird.text.window import Window

HOTPOTQA = DATASETS["hotpotqa"]
WIKIHOP, NATURAL_QUESTIONS = DATASETS["wikihop"], DATASETS["natural_questions"]
NONE = -math.inf


def window(*segment_ids):
    return Window(np.zeros(1), 0, np.zeros((0, 2)), [], 0, segment_ids=np.array(segment_ids, dtype=int))


def example(segments):
    return QAExample("a", "?", "document", segments=tuple(Segment(0, 1) for _ in range(segments)))


def logit(p):
    return math.log(p / (1 - p))


def test_evidence_counts_where_it_is_most_probable():
    predicted = WindowPredictions(torch.tensor([[logit(0.2), logit(0.7)], [logit(0.4), 0.0]]), None)
    probabilities, answer_type, _ = merge_predictions(example(4), [window(0, 1), window(1)], predicted, HOTPOTQA)
    assert probabilities == pytest.approx((0.2, 0.7, 0.0, 0.0)) and answer_type == ""


def test_candidates_of_all_windows_share_a_normaliser():
    """The second window has the better span, though the first is surer of its own."""
    scores = torch.tensor([[0.9, NONE], [1.2, 0.3]]).log()
    probabilities, _, _ = merge_predictions(
        example(3), [window(0), window(2, 0)], WindowPredictions(scores, None), WIKIHOP, math.log(4)
    )
    assert probabilities == pytest.approx((0.225, 0.0, 0.3))
    assert merge_predictions(example(2), [], WindowPredictions(scores[:0], None), WIKIHOP, NONE)[0] == (
        0.0,
        0.0,
    )


def test_one_long_answer_is_chosen_among_those_of_all_windows_or_none():
    """A segment that two windows hold is one choice, as none is."""
    scores = torch.tensor([[0.0, 1.0], [2.0, NONE]])
    probabilities, _, _ = merge_predictions(
        example(3), [window(0, 1), window(1)], WindowPredictions(scores, None), NATURAL_QUESTIONS
    )
    assert probabilities == pytest.approx((*torch.tensor([0.0, 0.0, 2.0]).softmax(0)[1:].tolist(), 0.0))


def test_the_type_is_that_of_the_window_with_the_best_segment():
    types = torch.tensor([[0.1, 0.9, 0.0], [0.3, 0.2, 0.5]])
    predicted = WindowPredictions(torch.tensor([[logit(0.2)], [logit(0.6)]]), types)
    assert merge_predictions(example(2), [window(0), window(1)], predicted, HOTPOTQA)[1] == "no"
    assert merge_predictions(example(0), [window(), window()], WindowPredictions(None, types), HOTPOTQA)[1] == "yes"
    assert merge_predictions(example(1), [], WindowPredictions(None, None), HOTPOTQA) == ((0.0,), "", 0.0)


def test_rows_go_to_their_questions():
    first = WindowPredictions(torch.tensor([[0.1, 0.2], [0.3, 0.4]]), torch.ones(2, 3))
    second = WindowPredictions(torch.tensor([[0.5]]), torch.zeros(1, 3))
    one, none, two = for_each([first, second], torch.arange(3), [1, 0, 2])
    assert one.segments.tolist() == [pytest.approx([0.1, 0.2])] and none.segments.shape == (0, 2)
    assert two.segments.tolist() == [pytest.approx([0.3, 0.4]), [0.5, NONE]]
    assert two.types.tolist() == [[1.0] * 3, [0.0] * 3]
    assert for_each([], torch.arange(0), [1]) == [WindowPredictions(None, None)]
    assert for_each([WindowPredictions(None, None)] * 2, torch.arange(2), [1, 1]) == [WindowPredictions(None, None)] * 2


def test_segments_that_are_not_there_have_no_score():
    extra = {"segment_logits": torch.tensor([[0.0, 2.0]]), "type_logits": torch.tensor([[1.0, 1.0]])}
    predicted = window_predictions(extra, torch.tensor([[True, False]]))
    assert predicted.segments.tolist() == [[0.0, NONE]] and predicted.types.tolist() == [[0.5, 0.5]]
    assert window_predictions(extra).segments.tolist() == [[0.0, 2.0]]
    assert window_predictions({}) == WindowPredictions(None, None)


@pytest.mark.parametrize("kind", SPAN_HEADS)
def test_spans_have_the_score_that_decoding_gives_them(kind):
    torch.manual_seed(0)
    W, L, C = 2, 6, 8
    head, hidden = SPAN_HEADS[kind](C), torch.randn(W, L, C)
    selectable = torch.tensor([[True, False, True, True, True, True], [True, False, False, True, True, True]])
    questions = torch.ones(W, 1, dtype=torch.long)
    every = torch.tensor([[i, j] for i in range(L) for j in range(L)]).expand(W, -1, -1)
    decoded = decode_spans(head, hidden, questions, selectable)
    probability = (span_scores(head, hidden, questions, selectable, every) - decoded.log_normaliser[:, None]).exp()
    torch.testing.assert_close(probability.sum(dim=1), torch.ones(W))  # a distribution over pairs
    place = decoded.starts[:, :1] * L + decoded.ends[:, :1]
    torch.testing.assert_close(
        probability.gather(1, place), (decoded.scores[:, :1] - decoded.log_normaliser[:, None]).exp()
    )
    blocked = ~selectable[:, every[0, :, 0]] | ~selectable[:, every[0, :, 1]]
    assert not probability[blocked].any() and (probability[~blocked] > 0).all()


def test_where_absence_is_a_type_the_window_least_like_it_decides():
    """Not the last window, and not the one surest of its type, which is sure of nothing being there."""
    types = torch.tensor([[0.4, 0.5, 0.1], [0.3, 0.1, 0.6], [0.9, 0.05, 0.05]])
    predicted = WindowPredictions(torch.tensor([[0.9], [0.1], [0.2]]), types)
    windows = [window(0), window(1), window(2)]
    spec = replace(NATURAL_QUESTIONS, answer_types=("null", "yes", "short"))
    _, answer_type, probability = merge_predictions(example(3), windows, predicted, spec)
    assert answer_type == "short" and probability == pytest.approx(0.6)
