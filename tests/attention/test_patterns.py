"""The attention patterns against the definitions one pair of tokens at a time."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.attention.bigbird import GLOBAL_BLOCKS, random_blocks
from fairseq_littlebird.attention.common.masked_softmax import masked_attention
from fairseq_littlebird.attention.common.patterns import bigbird_pattern, causal_window_pattern, sliding_window_pattern


def test_masked_attention_equals_a_softmax_over_what_is_seen():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 5, 4, dtype=torch.float64).unbind(0)
    visible = torch.rand(2, 1, 5, 5) < 0.5
    visible[0, 0, 2] = False
    bias = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    result, probabilities = masked_attention(q, k, v, visible, bias=bias)
    for n in range(2):
        for h in range(2):
            for i in range(5):
                seen = visible[n, 0, i].nonzero()[:, 0]
                weights = (k[n, h, seen] @ q[n, h, i] / 2 + bias[n, h, i, seen]).softmax(0)
                torch.testing.assert_close(probabilities[n, h, i, seen], weights)
                torch.testing.assert_close(result[n, h, i], weights @ v[n, h, seen])
    torch.testing.assert_close(probabilities.sum(-1), visible.any(-1).double().expand(2, 2, 5))


def literal_bigbird(L: int, b: int, second: int, table: list[list[list[int]]], h: int) -> list[list[int]]:
    """How often token i sees token j where blocks 0 and ``second`` are global."""
    count = [[0] * L for _ in range(L)]
    for i in range(L):
        for j in range(L):
            row, block = i // b, j // b
            if row in (0, second) or block in (0, second) or abs(row - block) <= 1:
                count[i][j] = 1
            if row not in (0, second):
                count[i][j] += table[h][row].count(block)
    return count


@pytest.mark.parametrize("global_blocks", GLOBAL_BLOCKS)
@pytest.mark.parametrize("kind", ["seeded", "first_block"])
@pytest.mark.parametrize(("L", "b"), [(1, 4), (4, 4), (5, 4), (26, 3), (23, 2), (12, 1)])
def test_bigbird(kind, L, b, global_blocks):
    H, n = 2, -(-L // b)
    table = random_blocks(kind, n, 2, H, 1, 0, global_blocks)[0]
    second = n - 1 if global_blocks == "first_last" else min(1, n - 1)
    count = bigbird_pattern(L, b, table[None], torch.tensor([second]))
    assert count.tolist() == [[literal_bigbird(L, b, second, table.tolist(), h) for h in range(H)]]


def test_bigbird_of_a_shorter_sequence_is_its_own():
    """What lies past its end takes nothing from it and adds nothing to it."""
    long, short = (
        torch.nn.functional.pad(random_blocks("seeded", n, 2, 1, 1), (0, 0, 0, 9 - n), value=-1) for n in (9, 7)
    )
    count = bigbird_pattern(27, 3, torch.cat([long, short]), torch.tensor([8, 6]))
    alone = bigbird_pattern(21, 3, random_blocks("seeded", 7, 2, 1, 1), torch.tensor([6]))
    assert torch.equal(count[1:, :, :21, :21], alone)
    assert torch.equal(count[:1], bigbird_pattern(27, 3, long, torch.tensor([8])))


def drawn(pattern):
    return ["".join(".x"[int(seen)] for seen in row) for row in pattern]


def test_a_sliding_window():
    assert drawn(sliding_window_pattern(6, 4)) == ["xxx...", "xxxx..", "xxxxx.", ".xxxxx", "..xxxx", "...xxx"]


def test_a_dilated_sliding_window():
    assert drawn(sliding_window_pattern(7, 4, 2)) == [
        "x.x.x..",
        ".x.x.x.",
        "x.x.x.x",
        ".x.x.x.",
        "x.x.x.x",
        ".x.x.x.",
        "..x.x.x",
    ]


def test_a_causal_window():
    assert drawn(causal_window_pattern(5, 5, 2)) == ["x....", "xx...", "xxx..", ".xxx.", "..xxx"]


def test_a_dilated_causal_window_of_the_last_tokens():
    assert drawn(causal_window_pattern(3, 7, 2, 2)) == ["x.x.x..", ".x.x.x.", "..x.x.x"]


def test_a_window_past_the_ends_is_everything():
    assert sliding_window_pattern(5, 8).all() and not sliding_window_pattern(6, 8).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_scores_are_never_narrower_than_float32(dtype):
    q = torch.ones(1, 1, 1, 4, dtype=dtype)
    result, probabilities = masked_attention(q, q, q, torch.ones(1, 1, dtype=torch.bool))
    assert result.dtype == dtype and probabilities.dtype == torch.float32
