"""Decoding against the enumeration of every span."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_littlebird.inference.span_decoding import decode_spans


class TableHead:
    """Starts and ends read from tables: <float>[W, L], and [W, L, L] given the start."""

    def __init__(self, start, end):
        self.start, self.end = start, end

    def start_logits(self, hidden, questions):
        return self.start[:, None]

    def end_logits(self, hidden, questions, starts):
        return self.end.gather(1, starts[:, :, None].expand(-1, -1, self.end.shape[-1]))


def enumerate_spans(start, end, selectable, longest, beam):
    """All spans of one window as (score, start, end), best first, of the ``beam`` best starts; and its normaliser."""
    L = len(start)
    allowed = [j for j in range(L) if selectable[j]]
    context = [j for j in allowed if j]

    def log_softmax(row, j):
        return float(row[j]) - math.log(sum(math.exp(row[x]) for x in allowed))

    spans = []
    for s in sorted(context, key=lambda s: -float(start[s]))[:beam]:
        for e in context:
            if s <= e < s + longest:
                spans.append((float(start[s]) + log_softmax(end[s], e), s, e))
    return sorted(spans, reverse=True), float(start[0]) - log_softmax(start, 0)


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**16),
    W=st.integers(1, 3),
    L=st.integers(1, 9),
    longest=st.sampled_from([1, 3, 30]),
    beam=st.sampled_from([1, 2, 16]),
    n_best=st.sampled_from([1, 4, 20]),
)
def test_equals_brute_force(seed, W, L, longest, beam, n_best):
    rng = torch.Generator().manual_seed(seed)
    start, end = torch.randn(W, L, generator=rng), torch.randn(W, L, L, generator=rng)
    selectable = torch.rand(W, L, generator=rng) < 0.7
    selectable[:, 0] = True
    decoded = decode_spans(
        TableHead(start, end),
        torch.zeros(W, L, 2),
        torch.ones(W, 1, dtype=torch.long),
        selectable,
        longest,
        beam,
        n_best,
    )
    for w in range(W):
        wanted, normaliser = enumerate_spans(start[w], end[w], selectable[w], longest, beam)
        wanted = wanted[:n_best]
        got = list(zip(decoded.scores[w].tolist(), decoded.starts[w].tolist(), decoded.ends[w].tolist(), strict=True))
        real = [span for span in got if span[0] > -math.inf]
        assert [span[1:] for span in real] == [span[1:] for span in wanted]
        torch.testing.assert_close(torch.tensor([s[0] for s in real]), torch.tensor([s[0] for s in wanted]))
        assert all(span[0] == -math.inf for span in got[len(wanted) :])
        assert float(decoded.null_score[w]) == float(start[w, 0])
        assert math.isclose(float(decoded.log_normaliser[w]), normaliser, rel_tol=1e-4, abs_tol=1e-5)


def test_a_long_limit_costs_no_more_than_the_ends(largest_tensor):
    """Answers of 500 tokens in 8,192: found, and no tensor larger than the ends' scores of the starts kept."""
    L, K, first, last = 8192, 16, 5000, 5499

    class Head:
        def start_logits(self, hidden, questions):
            return torch.zeros(1, 1, L).index_fill(2, torch.tensor([first]), 9.0)

        def end_logits(self, hidden, questions, starts):
            return torch.zeros(1, K, L).index_fill(2, torch.tensor([last]), 9.0)

    inputs = Head(), torch.zeros(1, L, 2), torch.ones(1, 1, dtype=torch.long), torch.ones(1, L, dtype=torch.bool)
    with largest_tensor() as largest:
        decoded = decode_spans(*inputs, max_answer_length=500)
    assert (int(decoded.starts[0, 0]), int(decoded.ends[0, 0])) == (first, last)
    assert largest.numel <= K * L
    shorter = decode_spans(*inputs, max_answer_length=499)
    assert int(shorter.ends[0, 0]) != last


def test_probabilities_of_all_spans_and_none_sum_to_one():
    """With ends anywhere (before the start too) p(s) p(e|s) is a distribution; nothing is lost but backward spans."""
    torch.manual_seed(0)
    L = 6
    start, end = torch.randn(1, L), torch.full((1, L, L), -50.0)
    end[0, torch.arange(L), torch.arange(L)] = 50.0  # every span is one token
    selectable = torch.ones(1, L, dtype=torch.bool)
    decoded = decode_spans(TableHead(start, end), torch.zeros(1, L, 2), torch.ones(1, 1, dtype=torch.long), selectable)
    total = decoded.scores.exp().sum() + decoded.null_score.exp().sum()
    assert math.isclose(float(total), float(decoded.log_normaliser.exp()), rel_tol=1e-5)
