"""Segments and kinds of answers of whole questions from those of their windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.inference.judging import Judgements, for_each, judge, judgements, span_probability
from fairseq_littlebird.text.example import QAExample, Segment
from fairseq_littlebird.text.window import Window

KINDS = ("span", "yes", "no")


def window(*segment_ids):
    return Window(np.zeros(1), 0, np.zeros((0, 2)), [], 0, segment_ids=np.array(segment_ids, dtype=int))


def example(segments):
    return QAExample("a", "?", "document", segments=tuple(Segment(0, 1) for _ in range(segments)))


def test_a_segment_counts_where_it_is_most_probable():
    judged = Judgements(torch.tensor([[0.2, 0.7], [0.4, 0.0]]), None)
    probabilities, kind, _ = judge(example(4), [window(0, 1), window(1)], judged, ())
    assert probabilities == pytest.approx((0.2, 0.7, 0.0, 0.0)) and kind == ""


def test_the_kind_is_that_of_the_window_with_the_best_segment():
    kinds = torch.tensor([[0.1, 0.9, 0.0], [0.3, 0.2, 0.5]])
    judged = Judgements(torch.tensor([[0.2], [0.6]]), kinds)
    assert judge(example(2), [window(0), window(1)], judged, KINDS)[1] == "no"
    assert judge(example(0), [window(), window()], Judgements(None, kinds), KINDS)[1] == "yes"
    assert judge(example(1), [], Judgements(None, None), KINDS) == ((0.0,), "", 0.0)


def test_rows_go_to_their_questions():
    first = Judgements(torch.tensor([[0.1, 0.2], [0.3, 0.4]]), torch.ones(2, 3))
    second = Judgements(torch.tensor([[0.5]]), torch.zeros(1, 3))
    one, none, two = for_each([first, second], torch.arange(3), [1, 0, 2])
    assert one.segments.tolist() == [pytest.approx([0.1, 0.2])] and none.segments.shape == (0, 2)
    assert two.segments.tolist() == [pytest.approx([0.3, 0.4]), pytest.approx([0.5, 0.0])]
    assert two.kinds.tolist() == [[1.0] * 3, [0.0] * 3]
    assert for_each([], torch.arange(0), [1]) == [Judgements(None, None)]
    assert for_each([Judgements(None, None)] * 2, torch.arange(2), [1, 1]) == [Judgements(None, None)] * 2


def test_logits_become_probabilities():
    judged = judgements({"segment_logits": torch.tensor([[0.0]]), "type_logits": torch.tensor([[1.0, 1.0]])})
    assert judged.segments.tolist() == [[0.5]] and judged.kinds.tolist() == [[0.5, 0.5]]
    assert judgements({}) == Judgements(None, None)


@pytest.mark.parametrize("kind", SPAN_HEADS)
def test_spans_have_the_probability_that_decoding_gives_them(kind):
    torch.manual_seed(0)
    W, L, C = 2, 6, 8
    head, hidden = SPAN_HEADS[kind](C), torch.randn(W, L, C)
    selectable = torch.tensor([[True, False, True, True, True, True], [True, False, False, True, True, True]])
    questions = torch.ones(W, 1, dtype=torch.long)
    every = torch.tensor([[i, j] for i in range(L) for j in range(L)]).expand(W, -1, -1)
    probability = span_probability(head, hidden, questions, selectable, every)
    torch.testing.assert_close(probability.sum(dim=1), torch.ones(W))  # a distribution over pairs
    blocked = ~selectable[:, every[0, :, 0]] | ~selectable[:, every[0, :, 1]]
    assert not probability[blocked].any() and (probability[~blocked] > 0).all()


def test_where_absence_is_a_kind_the_window_least_like_it_decides():
    """Not the last window, and not the one surest of its kind, which is sure of nothing being there."""
    kinds = torch.tensor([[0.4, 0.5, 0.1], [0.3, 0.1, 0.6], [0.9, 0.05, 0.05]])
    judged = Judgements(torch.tensor([[0.9], [0.1], [0.2]]), kinds)
    windows = [window(0), window(1), window(2)]
    _, kind, probability = judge(example(3), windows, judged, ("null", "yes", "short"))
    assert kind == "short" and probability == pytest.approx(0.6)


def test_one_segment_is_chosen_or_none():
    there = torch.tensor([[True, True, False]])
    judged = judgements({"segment_logits": torch.tensor([[0.0, 1.0, 5.0]])}, there)
    assert judged.segments[0].tolist() == pytest.approx([*torch.tensor([0.0, 0.0, 1.0]).softmax(0)[1:].tolist(), 0.0])
