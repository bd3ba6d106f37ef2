"""The loss of judging segments one by one."""

from __future__ import annotations

import math

import pytest
import torch

from fairseq_littlebird.objectives.segments import NO_SEGMENT, evidence_loss


def test_mean_over_segments_sum_over_sequences():
    logits = torch.tensor([[2.0, -1.0, 5.0], [0.0, 9.0, 9.0]], requires_grad=True)
    gold = torch.tensor([[1, 0, NO_SEGMENT], [1, NO_SEGMENT, NO_SEGMENT]])
    loss = evidence_loss(logits, gold)
    first = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))) / 2
    assert loss.item() == pytest.approx(first + math.log(2))
    loss.backward()
    assert logits.grad[0, 2] == 0 and not logits.grad[1, 1:].any() and logits.grad[0, 0] < 0 < logits.grad[0, 1]


def test_windows_without_segments_cost_nothing():
    assert evidence_loss(torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.long)) == 0
    assert evidence_loss(torch.ones(1, 2), torch.full((1, 2), NO_SEGMENT)) == 0
