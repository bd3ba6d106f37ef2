"""The loss of noisy spans against sums written out."""

from __future__ import annotations

import math

import pytest
import torch

from fairseq_littlebird.objectives.noisy_spans import noisy_span_loss
from fairseq_littlebird.objectives.span_selection import NO_QUESTION, span_loss

W, P, L = 4, 3, 7
OWNERS = torch.tensor([0, 0, 1, 2])
SPANS = [[(2, 3), (2, 5), (4, 4)], [(1, 1)], [(3, 6)], []]  # of each window; the last question has none


def case(spans=SPANS):
    torch.manual_seed(0)
    start, end_of = torch.randn(W, L, dtype=torch.float64), torch.randn(W, L, L, dtype=torch.float64)
    selectable = torch.ones(W, L, dtype=torch.bool)
    selectable[:, 0] = selectable[1, 5:] = False
    starts, ends = (
        torch.tensor([[*(s[i] for s in own), *[NO_QUESTION] * (P - len(own))] for own in spans]) for i in (0, 1)
    )
    end = end_of.gather(1, starts.clamp(min=0)[..., None].expand(-1, -1, L))
    gold = torch.zeros(W, L, dtype=torch.bool)
    for row, own in zip(gold, SPANS, strict=True):
        for s, _ in own:
            row[s] = True
    return start, end_of, end, starts, ends, gold, selectable


def by_hand(start, end_of, selectable):
    """Σ over the questions of -log Σ p(start) p(end | start)."""
    total = 0.0
    for question in (0, 1):
        windows = [w for w in range(W) if OWNERS[w] == question]
        everything = sum(math.exp(start[w, i]) for w in windows for i in range(L) if selectable[w, i])
        mass = 0.0
        for w in windows:
            for s, e in SPANS[w]:
                ends = sum(math.exp(end_of[w, s, i]) for i in range(L) if selectable[w, i])
                mass += math.exp(start[w, s]) / everything * math.exp(end_of[w, s, e]) / ends
        total -= math.log(mass)
    return total


def test_equals_the_sum_written_out():
    start, end_of, end, starts, ends, gold, selectable = case()
    loss = noisy_span_loss(start, end, starts, ends, gold, selectable, OWNERS)
    assert float(loss.start + loss.end) == pytest.approx(by_hand(start, end_of, selectable), rel=1e-5)
    assert int(loss.questions) == 2


def test_a_sample_keeps_the_starts_exact():
    everything = case()
    full = noisy_span_loss(everything[0], everything[2], *everything[3:], OWNERS)
    start, _, end, starts, ends, gold, selectable = case([SPANS[0][:2], [], SPANS[2], []])
    sample = noisy_span_loss(start, end, starts, ends, gold, selectable, OWNERS)
    torch.testing.assert_close(sample.start, full.start)
    assert float(sample.end) != pytest.approx(float(full.end))


def test_one_span_in_one_window_is_the_plain_loss():
    start, _, end, starts, ends, gold, selectable = (t[2:3] for t in case())
    noisy = noisy_span_loss(start, end, starts, ends, gold, selectable, OWNERS[2:3])
    plain = span_loss(start[:, None], end[:, :1], starts[:, :1], ends[:, :1], selectable)
    torch.testing.assert_close(noisy.start, plain.start)
    torch.testing.assert_close(noisy.end, plain.end)


def test_gradients_are_finite_and_leave_questions_without_an_answer_alone():
    start, _, end, starts, ends, gold, selectable = case()
    start, end = start.requires_grad_(), end.requires_grad_()
    loss = noisy_span_loss(start, end, starts, ends, gold, selectable, OWNERS)
    (loss.start + loss.end).backward()
    assert start.grad.isfinite().all() and end.grad.isfinite().all()
    assert start.grad[:3].abs().sum() > 0 and not start.grad[3].any() and not end.grad[3].any()


def test_windows_share_the_normaliser():
    """A higher score in the window without the answer costs as much as one in the window with it."""
    start, _, end, starts, ends, gold, selectable = case([SPANS[0], [], SPANS[2], []])
    gold[1] = False
    before = noisy_span_loss(start, end, starts, ends, gold, selectable, OWNERS)
    start[1, 2] += 3
    after = noisy_span_loss(start, end, starts, ends, gold, selectable, OWNERS)
    assert after.start > before.start and after.end == before.end


def test_exact_counts_questions_whose_best_start_is_gold():
    start, _, end, starts, ends, gold, selectable = case()
    start[1, 1], start[2, 1] = 10.0, 10.0
    loss = noisy_span_loss(start, end, starts, ends, gold, selectable, OWNERS)
    assert int(loss.exact) == 1


def test_nothing_to_learn_is_zero():
    start, _, end, starts, ends, gold, selectable = (t[3:] for t in case())
    loss = noisy_span_loss(start.requires_grad_(), end, starts, ends, gold, selectable, OWNERS[3:])
    assert [float(x) for x in loss] == [0.0] * 4
