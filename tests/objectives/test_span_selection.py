"""The span loss, one question at a time."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_littlebird.objectives.span_selection import NO_QUESTION, span_loss


@settings(max_examples=50)
@given(seed=st.integers(0, 2**16), B=st.integers(1, 3), Q=st.integers(1, 4), L=st.integers(1, 9))
def test_equals_the_definition(seed, B, Q, L):
    rng = torch.Generator().manual_seed(seed)
    start, end = torch.randn(2, B, Q, L, generator=rng).unbind(0)
    selectable = torch.rand(B, L, generator=rng) < 0.7
    selectable[:, 0] = True
    starts, ends = torch.full((2, B, Q), NO_QUESTION).unbind(0)
    wanted = [0.0, 0.0, 0, 0]
    for n in range(B):
        allowed = selectable[n].nonzero()[:, 0].tolist()
        for q in range(Q):
            if torch.rand((), generator=rng) < 0.3:
                continue
            s, e = (allowed[int(torch.randint(len(allowed), (), generator=rng))] for _ in range(2))
            starts[n, q], ends[n, q] = s, e
            for which, logits, gold in ((0, start, s), (1, end, e)):
                total = sum(math.exp(logits[n, q, j]) for j in allowed)
                wanted[which] += math.log(total) - float(logits[n, q, gold])
            best = [max(allowed, key=lambda j: float(logits[n, q, j])) for logits in (start, end)]
            wanted[2] += best == [s, e]
            wanted[3] += 1
    loss = span_loss(start, end, starts, ends, selectable)
    torch.testing.assert_close(torch.stack([loss.start, loss.end]), torch.tensor(wanted[:2]), rtol=1e-4, atol=1e-5)
    assert (int(loss.exact), int(loss.questions)) == tuple(wanted[2:])


def test_a_batch_without_a_question_has_a_loss_of_zero_and_gradients():
    logits = torch.randn(2, 1, 5, requires_grad=True)
    none = torch.full((2, 1), NO_QUESTION)
    loss = span_loss(logits, logits, none, none, torch.ones(2, 5, dtype=torch.bool))
    (loss.start + loss.end).backward()
    assert float(loss.start) == float(loss.end) == int(loss.questions) == int(loss.exact) == 0
    assert (logits.grad == 0).all()


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.randn(1, 1, 4000).bfloat16()
    gold = torch.tensor([[7]])
    loss = span_loss(logits, logits, gold, gold, torch.ones(1, 4000, dtype=torch.bool))
    assert loss.start.dtype == torch.float32
    expected = torch.nn.functional.cross_entropy(logits[0].double(), gold[0])
    torch.testing.assert_close(loss.start.double(), expected, rtol=1e-6, atol=0)
