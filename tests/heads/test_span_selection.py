"""Span heads against the pairs written out, and without ever building them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fairseq_littlebird.heads import span_selection
from fairseq_littlebird.heads.span_selection import (
    SPAN_HEADS,
    BigBirdSpanHead,
    LinearSpanHead,
    QuestionAwareSpanHead,
    take,
)

B, Q, L, C = 2, 3, 11, 8


@pytest.fixture
def given():
    torch.manual_seed(0)
    hidden = torch.randn(B, L, C, dtype=torch.float64)
    return hidden, torch.randint(L, (B, Q)), torch.randint(L, (B, Q))


def test_the_linear_heads_end_equals_the_concatenation(given):
    """w · gelu(W [h_end ; h_start]) with W = [W_e W_s], every pair built."""
    hidden, questions, starts = given
    head = LinearSpanHead(C).double()
    W = torch.cat([head.end_from_end.weight, head.end_from_start.weight], dim=1)  # [C, 2C]
    ends = hidden[:, None].expand(B, Q, L, C)
    pairs = torch.cat([ends, take(hidden, starts)[:, :, None].expand(B, Q, L, C)], dim=-1)
    expected = F.linear(F.gelu(F.linear(pairs, W, head.end_from_end.bias)), head.end.weight, head.end.bias)
    torch.testing.assert_close(head.end_logits(hidden, questions, starts), expected[..., 0])
    for n in range(B):
        for q in range(Q):
            torch.testing.assert_close(head.start_logits(hidden, questions)[n, q], head.start(hidden[n])[:, 0])


def shaken(head):
    """The head with no parameter at 0."""
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return head


def test_a_new_question_aware_head_scores_by_likeness(given):
    hidden, questions, starts = given
    head = QuestionAwareSpanHead(C).double()
    likeness = hidden @ hidden.transpose(1, 2) / C**0.5
    torch.testing.assert_close(head.start_logits(hidden, questions), take(likeness, questions))
    torch.testing.assert_close(head.end_logits(hidden, questions, starts), take(likeness, starts))


def test_the_question_aware_head_one_question_at_a_time(given):
    hidden, questions, starts = given
    head = shaken(QuestionAwareSpanHead(C).double())
    start, end = head.start_logits(hidden, questions), head.end_logits(hidden, questions, starts)
    for n in range(B):
        for q in range(Q):
            h_q, h_s = hidden[n, questions[n, q]], hidden[n, starts[n, q]]
            query = h_q + head.start_query(h_q)
            torch.testing.assert_close(start[n, q], head.start_key(hidden[n]) @ query / C**0.5)
            both = h_s + head.end_query(torch.cat([h_q, h_s]))
            torch.testing.assert_close(end[n, q], head.end_key(hidden[n]) @ both / C**0.5)


@pytest.mark.parametrize("kind", ["linear", "qass"])
def test_the_end_depends_on_the_start(kind, given):
    hidden, questions, starts = given
    head = SPAN_HEADS[kind](C).double()
    other = (starts + 1) % L
    before, after = (head.end_logits(hidden, questions, s) for s in (starts, other))
    difference = after - before
    # more than a shift, which a softmax would not see
    assert ((difference - difference[..., :1]).abs().amax(-1) > 1e-6).all()


@pytest.mark.parametrize("kind", SPAN_HEADS)
def test_questions_tokens_hidden_is_never_built(kind, largest_tensor):
    Q, L, C = 240, 4096, 16
    head = SPAN_HEADS[kind](C)
    hidden = torch.randn(1, L, C, requires_grad=True)
    questions, starts = torch.randint(L, (2, 1, Q)).unbind(0)
    with largest_tensor() as mode:
        (head.start_logits(hidden, questions) + head.end_logits(hidden, questions, starts)).sum().backward()
    assert mode.numel <= 2 * Q * L


def test_240_questions_on_4096_tokens_fit():
    """What is kept for the backward pass counts too: all of it, not the largest alone."""
    Q, L, C = 240, 4096, 16
    head = QuestionAwareSpanHead(C)
    hidden = torch.randn(1, L, C, requires_grad=True)
    questions, starts = torch.randint(L, (2, 1, Q)).unbind(0)
    kept: dict[int, int] = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.itemsize
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        results = head.start_logits(hidden, questions), head.end_logits(hidden, questions, starts)
    assert results[1].shape == (1, Q, L)
    assert sum(kept.values()) < 2 * Q * L


@pytest.mark.parametrize("pairs", [1, 3 * Q * C, 2**19])
def test_ends_without_gradients_are_the_same(monkeypatch, pairs):
    """They are computed some tokens at a time, for all starts together."""
    monkeypatch.setattr(span_selection, "CPU_PAIRS", pairs)
    torch.manual_seed(0)
    head, hidden, starts = LinearSpanHead(C), torch.randn(B, L, C), torch.randint(L, (B, Q))
    with_gradients = head.end_logits(hidden, starts, starts)
    with torch.no_grad():
        torch.testing.assert_close(head.end_logits(hidden, starts, starts), with_gradients.detach())
        assert head.end_logits(hidden, starts[:, :0], starts[:, :0]).shape == (B, 0, L)


def test_the_bigbird_head_equals_transformers(given):
    """With the weights that its docstring names."""
    from transformers import BigBirdConfig
    from transformers.models.big_bird.modeling_big_bird import BigBirdForQuestionAnsweringHead

    hidden, questions, starts = given
    theirs = BigBirdForQuestionAnsweringHead(BigBirdConfig(hidden_size=C, intermediate_size=4 * C)).double().eval()
    shaken(theirs)
    parts = {"fc1": theirs.intermediate.dense, "fc2": theirs.output.dense, "norm": theirs.output.LayerNorm}
    weights = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
    outputs = theirs.qa_outputs.weight.split(1), theirs.qa_outputs.bias.split(1)
    for name, weight, bias in zip(("start", "end"), *outputs, strict=True):
        weights |= {f"{name}.weight": weight, f"{name}.bias": bias}
    head = BigBirdSpanHead(C).double()
    head.load_state_dict(weights)
    logits = theirs(hidden)
    torch.testing.assert_close(head.start_logits(hidden, questions), logits[:, None, :, 0].expand(B, Q, L))
    torch.testing.assert_close(head.end_logits(hidden, questions, starts), logits[:, None, :, 1].expand(B, Q, L))
