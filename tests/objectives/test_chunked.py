"""Chunked sums against the plain sum."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.objectives.chunked import chunk_length, chunked_sum


def terms(rows, a, b, unused):
    return ((a[rows] @ b).sin() * a[rows]).sum()


@pytest.mark.parametrize("chunk", [1, 3, 7, 20])
def test_equals_the_plain_sum(chunk):
    a, b, unused = torch.randn(7, 4).double(), torch.randn(4, 4).double(), torch.randn(2).double()
    plain = [t.clone().requires_grad_() for t in (a, b, unused)]
    wanted = 3 * terms(slice(None), *plain)
    wanted.backward()
    ours = [t.clone().requires_grad_() for t in (a, b, unused)]
    got = 3 * chunked_sum(terms, [slice(n, n + chunk) for n in range(0, 7, chunk)], *ours)
    got.backward()
    torch.testing.assert_close(got, wanted)
    for mine, theirs in zip(ours[:2], plain[:2], strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
    assert not ours[2].grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_many_small_gradients_add_up_in_half_precision(dtype):
    """Of 4,000 terms: each vanishes in float16 before the loss is scaled, and beside their sum in bfloat16."""
    a = torch.full((3,), 2.0, dtype=dtype, requires_grad=True)
    total = chunked_sum(lambda chunk, a: 1e-8 * a.sum(), range(4000), a)
    (2**16 * total).backward()
    assert total.dtype == torch.float32 and a.grad.dtype == dtype
    torch.testing.assert_close(a.grad.float(), torch.full((3,), 2**16 * 4e-5), rtol=1e-2, atol=0.0)


def test_autocast_leaves_it_alone():
    """Distances past the largest float16 stand in the gradients of slopes."""
    a, distances = torch.full((1, 2), 1e-5, requires_grad=True), torch.tensor([[1e5, 0.0], [3.0, 2e6]])
    with torch.autocast("cpu", torch.float16):
        total = chunked_sum(lambda rows, a: (a @ distances[:, rows]).sum(), [slice(0, 1), slice(1, 2)], a)
    total.backward()
    torch.testing.assert_close(total.detach(), torch.tensor(1e-5 * 2_100_003))
    torch.testing.assert_close(a.grad, torch.tensor([[1e5, 2_000_003.0]]))


def test_takes_no_gradient_that_nobody_wants():
    asked = []

    def recorded(rows, a, b):
        asked.append((torch.is_grad_enabled(), a.requires_grad, b.requires_grad))
        return (a[rows] * b[rows]).sum()

    a, b = torch.randn(4, requires_grad=True), torch.randn(4)
    chunks = [slice(0, 2), slice(2, 4)]
    chunked_sum(recorded, chunks, a, b).backward()
    assert asked == [(True, True, False)] * 2 and a.grad is not None and b.grad is None
    asked.clear()
    with torch.no_grad():
        chunked_sum(recorded, chunks, a, b)
    chunked_sum(recorded, chunks, a.detach(), b)
    assert asked == [(False, False, False)] * 4


def test_chunks_are_small_and_never_empty():
    assert 2**19 < chunk_length(1000, torch.device("cpu")) * 1000 <= 2**20
    assert chunk_length(2**30, torch.device("cpu")) == 1
