"""The attention KL against its definition, and in chunks against itself."""

from __future__ import annotations

import math

import pytest
import torch

from fairseq_littlebird.attention.effective_attention import (
    effective_attention,
    full_attention_probabilities,
    pack_attention_probabilities,
)
from fairseq_littlebird.attention.internals import FullAttentionInternals, LittleBirdInternals
from fairseq_littlebird.objectives.attention_alignment import attention_kl, chunked_attention_kl


def rows_of(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).softmax(-1)


@pytest.mark.parametrize("heads", ["paired", "mean"])
def test_equals_the_definition(heads):
    B, H, L = 2, 3, 5
    teacher, student = rows_of(B, H, L, L, seed=0), rows_of(B, H, L, L, seed=1)
    teacher[0, :, :, 4] = 0  # a key the teacher does not see
    teacher /= teacher.sum(-1, keepdim=True)
    queries = torch.tensor([[True] * 4 + [False], [True] * 5])
    wanted = 0.0
    for n, i in queries.nonzero().tolist():
        pairs = [(teacher[n, h, i], student[n, h, i]) for h in range(H)]
        if heads == "mean":
            pairs = [(teacher[n, :, i].mean(0), student[n, :, i].mean(0))]
        for t, s in pairs:
            wanted += sum(x * math.log(x / y) for x, y in zip(t.tolist(), s.tolist(), strict=True) if x) / len(pairs)
    assert float(attention_kl(teacher, student, queries, heads)) == pytest.approx(wanted)


def test_means_compare_unlike_numbers_of_heads():
    teacher = rows_of(1, 1, 3, 3, seed=0)
    same = attention_kl(teacher.expand(-1, 4, -1, -1), teacher.expand(-1, 2, -1, -1), torch.ones(1, 3).bool(), "mean")
    assert float(same) == pytest.approx(0.0, abs=1e-12)


def test_nothing_is_infinite():
    """Where a student gives 0 to what its teacher sees, and where a row of padding is nonsense."""
    teacher, student = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]]]]), torch.tensor([[[[0.0, 1.0], [math.nan, 0.0]]]])
    student.requires_grad_()
    loss = attention_kl(teacher, student, torch.tensor([[True, False]]))
    assert 60 < float(loss.detach()) < 80
    loss.backward()
    assert student.grad[:, :, 0].isfinite().all()


CASES = {
    "base": {},
    "mean": {"heads": "mean"},
    "no pack stream": {"S": 0},
    "no window": {"window": False},
    "no slopes": {"slopes": False},
    "gaps": {"gaps": True},
}


@pytest.mark.parametrize("chunk", [1, 4, 13, 99])
@pytest.mark.parametrize("case", CASES)
def test_chunks_equal_the_whole_in_value_and_gradients(case, chunk):
    options = {"heads": "paired", "S": 3, "window": True, "slopes": True, "gaps": False} | CASES[case]
    B, H, L, D, S, b = 2, 3, 13, 4, options["S"], 3
    rng = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    teacher = FullAttentionInternals(random(B, H, L, D), random(B, H, L, D))
    drawn = [random(B, H, n, D) for n in (L, L, S, L, S)] + [random(3, H)] * options["slopes"]
    padding = torch.arange(L).expand(B, L) >= torch.tensor([[L], [L - 4]])
    positions = torch.randint(0, 5, (B, L), generator=rng).cumsum(1) if options["gaps"] else None

    def of_student(queries, pack, *tensors):
        internals = LittleBirdInternals(*(*tensors, None)[:6])
        return effective_attention(internals, positions, padding, b, options["window"], queries, pack)

    def of_teacher(rows):
        return full_attention_probabilities(teacher, padding, rows, None if S else b)

    results = []
    for chunked in (False, True):
        tensors = [t.clone().requires_grad_() for t in drawn]
        pack = pack_attention_probabilities(LittleBirdInternals(*(*tensors, None)[:6]), padding)
        if chunked:
            made = of_teacher, of_student, (pack, *tensors)
            loss = chunked_attention_kl(*made, ~padding, options["heads"], chunk=chunk)
        else:
            rows = of_teacher(slice(None)), of_student(slice(None), pack, *tensors)
            loss = attention_kl(*rows, ~padding, options["heads"])
        (2 * loss).backward()
        grads = [torch.zeros_like(t) if t.grad is None else t.grad for t in tensors]
        results.append([loss.detach(), *grads])
    assert float(results[0][0]) > 0
    assert any(grad.abs().max() > 1e-3 for grad in results[0][1:])
    for plain, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-12)
