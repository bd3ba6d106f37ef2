"""Soft targets and hidden states against their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from fairseq_littlebird.objectives import distillation
from fairseq_littlebird.objectives.distillation import hidden_state_distance, soft_target_kl


@pytest.mark.parametrize("rows", [1, 2, 100])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_equals_the_definition(temperature, rows, monkeypatch):
    monkeypatch.setattr(distillation, "chunk_length", lambda elements, device: rows)
    student, teacher = torch.randn(2, 5, 7, dtype=torch.float64).unbind(0)
    teacher[1, 3] = student[1, 3] = float("-inf")  # no class of row 1
    wanted = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = ([math.exp(x / temperature) for x in row] for row in (t, s))
        wanted += sum(x / sum(p) * math.log(x / sum(p) / (y / sum(q))) for x, y in zip(p, q, strict=True) if x)
    got = soft_target_kl(student, teacher, temperature)
    assert float(got) == pytest.approx(temperature**2 * wanted)


@pytest.mark.parametrize("rows", [1, 2])
def test_gradients_are_finite_where_classes_are_none(rows, monkeypatch):
    monkeypatch.setattr(distillation, "chunk_length", lambda elements, device: rows)
    student = torch.randn(2, 4).masked_fill(torch.tensor([False, True, False, False]), float("-inf")).requires_grad_()
    teacher = torch.randn(2, 4).masked_fill(torch.tensor([False, True, False, False]), float("-inf"))
    soft_target_kl(student, teacher).backward()
    assert student.grad.isfinite().all() and not student.grad[:, 1].any()
    torch.testing.assert_close(student.grad, student.detach().softmax(-1) - teacher.softmax(-1))


def test_is_zero_for_equal_logits_and_computed_in_float32():
    logits = torch.randn(3, 9)
    assert float(soft_target_kl(logits, logits.clone(), 2.0)) == 0.0
    half = soft_target_kl(logits.bfloat16(), torch.randn(3, 9).half())
    assert half.dtype == torch.float32


def test_no_rows_cost_nothing():
    student = torch.zeros(0, 5, requires_grad=True)
    loss = soft_target_kl(student, torch.zeros(0, 5))
    loss.backward()
    assert float(loss.detach()) == 0.0


def test_the_distance_of_hidden_states_is_relative():
    student = torch.tensor([[3.0, 0.0], [1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([[1.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
    distance = hidden_state_distance(student, teacher)
    distance.backward()
    assert float(distance.detach()) == pytest.approx(4 / 1 + 4 / 10)
    assert student.grad.tolist() == [[4.0, 0.0], [0.0, pytest.approx(-0.4)]]
    assert float(hidden_state_distance(torch.zeros(2, 2), teacher)) == pytest.approx(2.0)
    assert hidden_state_distance(student.detach().half(), teacher.half()).dtype == torch.float32
