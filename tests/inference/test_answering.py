"""Batches of windows through a model, in pieces of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairseq_littlebird.heads.span_selection import LinearSpanHead
from fairseq_littlebird.inference.answering import decode_windows, merge_batch
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.window import Window

W, L, C, CONTEXT = 5, 9, 4, 3
DOCUMENT = "a b c d e f g h i j k l m n o p q r s t u v w x y z"


class Model(torch.nn.Module):
    """Hidden states that depend on a row's tokens alone."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.span_head = torch.nn.Embedding(50, C), LinearSpanHead(C)
        self.seen = []

    def forward(self, src_tokens, questions, starts, features_only):
        self.seen.append(len(src_tokens))
        hidden = self.embed(src_tokens)
        return hidden, {"start_logits": self.span_head.start_logits(hidden, questions)}


@pytest.fixture
def net_input():
    tokens = torch.randint(50, (W, L), generator=torch.Generator().manual_seed(1))
    return {
        "src_tokens": tokens,
        "questions": torch.ones(W, 1, dtype=torch.long),
        "starts": torch.zeros(W, 1, dtype=torch.long),
    }


@pytest.fixture
def selectable():
    mask = torch.zeros(W, L, dtype=torch.bool)
    mask[:, 0] = mask[:, CONTEXT:-1] = True
    return mask


@torch.no_grad()
@pytest.mark.parametrize("max_tokens", [1, L, 2 * L, 3 * L + 1, 2**15])
def test_pieces_make_no_difference(net_input, selectable, max_tokens):
    whole = list(decode_windows(Model(), net_input, selectable, 4, 6))
    model = Model()
    pieces = list(decode_windows(model, net_input, selectable, 4, 6, max_tokens))
    assert [stop for rows, _, _ in pieces for stop in range(rows.start, rows.stop)] == list(range(W))
    assert max(model.seen) * L <= max(max_tokens, L)
    for index in range(4):
        joined = torch.cat([spans[index] for _, _, spans in pieces])
        torch.testing.assert_close(joined, whole[0][2][index])


@torch.no_grad()
def test_each_question_gets_its_own_windows(net_input, selectable):
    offsets = np.array([[2 * n, 2 * n + 1] for n in range(L - CONTEXT - 1)])
    windows = [Window(t.numpy(), CONTEXT, offsets + 10 * w, [], 0) for w, t in enumerate(net_input["src_tokens"])]
    groups = [windows[:2], [], windows[2:]]
    examples = [QAExample(name, "?", DOCUMENT) for name in ("two", "none", "three")]
    decoded = [spans for _, _, spans in decode_windows(Model(), net_input, selectable, max_tokens=2 * L)]
    predictions = merge_batch(examples, groups, decoded, n_best=3)
    assert [p.id for p in predictions] == ["two", "none", "three"]
    assert [len(p.candidates) for p in predictions] == [3, 0, 3]
    assert all(0 <= c.start < 20 + 4 for c in predictions[0].candidates)
    assert all(c.start >= 20 for c in predictions[2].candidates)
    assert all(c.text == DOCUMENT[c.start : c.end] for p in predictions for c in p.candidates)
    alone = merge_batch(
        examples[2:],
        groups[2:],
        [
            type(d)(*(t for t in d))
            for d in [list(decode_windows(Model(), {k: v[2:] for k, v in net_input.items()}, selectable[2:]))[0][2]]
        ],
        n_best=3,
    )[0]
    assert [(c.text, c.window) for c in alone.candidates] == [(c.text, c.window) for c in predictions[2].candidates]


def test_questions_without_any_window():
    assert [p.candidates for p in merge_batch([QAExample("a", "?", "b")], [[]], [])] == [()]
