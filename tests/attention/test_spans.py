"""Which rows of window attention are computed together: each once, and with no more operators for more sequences."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from fairseq_littlebird.attention.littlebird import blockwise, spans
from fairseq_littlebird.attention.littlebird.distance_features import distance_features


@settings(max_examples=200)
@given(
    lengths=st.lists(st.integers(0, 70), min_size=1, max_size=9),
    b=st.sampled_from([1, 4, 16]),
    rows=st.integers(1, 12),
)
def test_every_block_is_in_one_span(lengths, b, rows):
    L = max(*lengths, 1)
    padding = torch.arange(L) >= torch.tensor(lengths)[:, None]
    window = spans.window_size(L, b, 0)
    usual, spans.CHUNK_SIZE = spans.CHUNK_SIZE, rows * min(b, L) * window
    try:
        found = list(spans.spans(padding, (len(lengths), 1, L, 1), b, window))
    finally:
        spans.CHUNK_SIZE = usual
    times = torch.zeros(len(lengths), -(-L // b), dtype=torch.int64)
    for span in found:
        numbers = torch.arange(len(lengths))[span.sequences]
        assert len(numbers) * span.segments <= max(rows, 1)
        for segment in range(span.segments):
            start = span.first + segment * span.blocks
            times[numbers, start : start + span.blocks] += 1
    for of_sequence, n in zip(times, lengths, strict=True):
        blocks = -(-n // b)
        assert (of_sequence[:blocks] == 1).all() and (of_sequence <= 1).all()
        assert n or not of_sequence.any()
        assert int(of_sequence.sum()) <= -(-blocks // spans.MIN_SHARE)  # little is computed of padding


class Count(TorchDispatchMode):
    """How many operators run."""

    def __init__(self):
        super().__init__()
        self.operators = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operators += 1
        return function(*args, **(kwargs or {}))


def operators(B, L, H=4, D=16, S=32, b=32):
    """Of a layer of littlebird_tiny's attention, forward and backward."""
    q, k, v, grad = (torch.randn(B, L, H, D).transpose(1, 2) for _ in range(4))
    pack_k, pack_v = (torch.randn(B, S, H, D).transpose(1, 2) for _ in range(2))
    features = distance_features(q, torch.arange(L).expand(B, L), None, b, S)
    arguments = q, k, v, pack_k, pack_v, torch.zeros(H, 3), *features, None, b, 0.0, torch.tensor(1)
    counts = []
    # what runs inside the operators, which a mode does not look into
    for function, inputs in ((blockwise._attend, arguments), (blockwise._attend_backward, (grad, *arguments))):
        with Count() as count:
            function._init_fn(*inputs)
        counts.append(count.operators)
    return counts


@pytest.mark.parametrize("L", [96, 512])
def test_more_sequences_take_no_more_operators(L):
    rows = spans.CHUNK_SIZE // (4 * 32 * spans.window_size(L, 32, 32))
    assert rows >= 12
    alone, few, many = operators(1, L), operators(rows // 2 + 1, L), operators(rows, L)
    assert few == many
    assert all(one <= 1.5 * several for one, several in zip(alone, few, strict=True))
    twice = operators(2 * rows, L)
    assert all(two <= 2 * once for two, once in zip(twice, many, strict=True))


def test_a_long_sequence_is_cut_where_others_are_few():
    """Side by side its segments take a fraction of the operators that block after block would."""
    one, eight = operators(1, 3072), operators(8, 3072)
    assert all(8 * alone <= 2.5 * together for alone, together in zip(one, eight, strict=True)), (one, eight)
