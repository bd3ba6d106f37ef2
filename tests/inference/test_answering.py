"""Batches of windows through a model, in pieces of any size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fairseq_littlebird.heads.span_selection import LinearSpanHead
from fairseq_littlebird.inference.answering import decode_windows, merge_batch
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.window import Window

W, L, C, CONTEXT = 5, 9, 4, 3
LENGTHS = [7, 9, 6, 9, 5]
DOCUMENT = "a b c d e f g h i j k l m n o p q r s t u v w x y z"


class Model(torch.nn.Module):
    """Hidden states that depend on a row's tokens alone."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.span_head = torch.nn.Embedding(50, C), LinearSpanHead(C)
        self.seen = []

    def forward(self, src_tokens, src_lengths, questions, starts, features_only):
        self.seen.append(src_tokens.shape)
        hidden = self.embed(src_tokens)
        return hidden, {"start_logits": self.span_head.start_logits(hidden, questions)}


@pytest.fixture
def net_input():
    generator = torch.Generator().manual_seed(1)
    tokens = torch.stack([torch.randperm(50, generator=generator)[:L] for _ in range(W)])  # no two spans score alike
    return {
        "src_tokens": tokens,
        "src_lengths": torch.tensor(LENGTHS),
        "questions": torch.ones(W, 1, dtype=torch.long),
        "starts": torch.zeros(W, 1, dtype=torch.long),
    }


@pytest.fixture
def selectable():
    mask = torch.zeros(W, L, dtype=torch.bool)
    for row, length in zip(mask, LENGTHS, strict=True):
        row[0] = row[CONTEXT : length - 1] = True
    return mask


@torch.no_grad()
@pytest.mark.parametrize("max_tokens", [1, L, 2 * L, 3 * L + 1, 2**15])
def test_pieces_make_no_difference(net_input, selectable, max_tokens):
    whole = list(decode_windows(Model(), net_input, selectable, 4, 6))
    model = Model()
    pieces = list(decode_windows(model, net_input, selectable, 4, 6, max_tokens))
    assert len(whole) == 1
    assert sorted(torch.cat([part.indices for part, _ in pieces]).tolist()) == list(range(W))
    assert all(rows * length <= max(max_tokens, L) for rows, length in model.seen)
    [(together, _)] = whole
    for (rows, spans, _), _ in pieces:
        there = spans.scores > -math.inf  # the others may be any span
        for part, every in zip(spans, together.spans, strict=True):
            same = every[together.indices.argsort()[rows]]
            torch.testing.assert_close(*((x[there] if x.ndim == 2 else x) for x in (part, same)))


@torch.no_grad()
def test_windows_are_encoded_with_others_of_their_length(net_input, selectable):
    model = Model()
    assert [part.indices.tolist() for part, _ in decode_windows(model, net_input, selectable, max_tokens=18)] == [
        [1, 3], [0, 2], [4]
    ]  # fmt: skip
    assert model.seen == [(2, 9), (2, 7), (1, 5)]


@torch.no_grad()
def test_each_question_gets_its_own_windows(net_input, selectable):
    offsets = np.array([[2 * n, 2 * n + 1] for n in range(L - CONTEXT - 1)])
    windows = [Window(t.numpy(), CONTEXT, offsets + 10 * w, [], 0) for w, t in enumerate(net_input["src_tokens"])]
    groups = [windows[:2], [], windows[2:]]
    examples = [QAExample(name, "?", DOCUMENT) for name in ("two", "none", "three")]
    decoded = [part for part, _ in decode_windows(Model(), net_input, selectable, max_tokens=2 * L)]
    predictions = merge_batch(examples, groups, decoded, n_best=3)
    assert [p.id for p in predictions] == ["two", "none", "three"]
    assert [len(p.candidates) for p in predictions] == [3, 0, 3]
    assert all(0 <= c.start < 20 + 4 for c in predictions[0].candidates)
    assert all(c.start >= 20 for c in predictions[2].candidates)
    assert all(c.text == DOCUMENT[c.start : c.end] for p in predictions for c in p.candidates)
    net_input = {name: tensor[2:] for name, tensor in net_input.items()}
    decoded = [part for part, _ in decode_windows(Model(), net_input, selectable[2:])]
    alone = merge_batch(examples[2:], groups[2:], decoded, n_best=3)[0]
    assert [(c.text, c.window) for c in alone.candidates] == [(c.text, c.window) for c in predictions[2].candidates]


def test_questions_without_any_window():
    assert [p.candidates for p in merge_batch([QAExample("a", "?", "b")], [[]], [])] == [()]
