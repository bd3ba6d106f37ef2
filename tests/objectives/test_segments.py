"""The loss of segments predicted one by one."""

from __future__ import annotations

import math

import pytest
import torch

from fairseq_littlebird.objectives.segments import (
    NO_SEGMENT,
    candidate_loss,
    choice_log_probability,
    choice_loss,
    evidence_loss,
)


def test_mean_over_the_segments_of_each_sequence():
    logits = torch.tensor([[2.0, -1.0, 5.0], [0.0, 9.0, 9.0]], requires_grad=True)
    gold = torch.tensor([[1, 0, NO_SEGMENT], [1, NO_SEGMENT, NO_SEGMENT]])
    loss = evidence_loss(logits, gold)
    first = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))) / 2
    assert loss.tolist() == pytest.approx([first, math.log(2)])
    loss.sum().backward()
    assert logits.grad[0, 2] == 0 and not logits.grad[1, 1:].any() and logits.grad[0, 0] < 0 < logits.grad[0, 1]


def test_windows_without_segments_cost_nothing():
    assert evidence_loss(torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.long)).tolist() == [0, 0]
    assert evidence_loss(torch.ones(1, 2), torch.full((1, 2), NO_SEGMENT)).tolist() == [0]


def test_one_of_the_segments_or_none():
    logits = torch.tensor([[1.0, 2.0, 9.0], [0.5, -1.0, 3.0]], requires_grad=True)
    gold = torch.tensor([[0, 1, NO_SEGMENT], [0, 0, 0]])
    loss = choice_loss(logits, gold)
    one, none = torch.tensor([0.0, 1.0, 2.0]).log_softmax(-1)[2], torch.tensor([0.0, 0.5, -1.0, 3.0]).log_softmax(-1)[0]
    torch.testing.assert_close(loss, -torch.stack([one, none]))
    loss.sum().backward()
    assert logits.grad.isfinite().all() and logits.grad[0, 2] == 0
    probability = choice_log_probability(logits, gold.ne(NO_SEGMENT)).exp()
    torch.testing.assert_close(probability.sum(dim=1), torch.ones(2))
    assert probability[0, 3] == 0


def test_a_batch_without_segments_chooses_none():
    assert choice_loss(torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.long)).tolist() == [0.0, 0.0]


def test_candidates_are_chosen_among_those_there():
    logits = torch.tensor([[1.0, 2.0, 9.0], [0.5, -1.0, 3.0], [1.0, 1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    gold = torch.tensor([[0, 1, -1], [0, 0, 1], [0, 0, -1]])
    loss = candidate_loss(logits, gold)
    wanted = [-logits[0, :2].log_softmax(0)[1], -logits[1].log_softmax(0)[2], torch.tensor(0.0)]
    torch.testing.assert_close(loss.double(), torch.stack([w.double() for w in wanted]), rtol=1e-6, atol=1e-7)
    loss.sum().backward()
    assert logits.grad.isfinite().all() and (logits.grad[2] == 0).all() and logits.grad[0, 2] == 0
    assert (candidate_loss(torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.int64)) == 0).all()
