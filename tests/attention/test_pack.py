"""Pack attention against a softmax written out."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.attention import pack_attention


def reference(pack_q, k, v, padding):
    scores = pack_q @ k.transpose(2, 3) / k.shape[-1] ** 0.5
    if padding is not None:
        scores = scores.masked_fill(padding[:, None, None, :], float("-inf"))
    return scores.softmax(-1).nan_to_num(0.0) @ v


@pytest.mark.parametrize("length", [1, 6, 65])
@pytest.mark.parametrize("masked", [False, True])
def test_equals_a_full_softmax_over_the_unpadded_tokens(length, masked):
    torch.manual_seed(length)
    pack_q = torch.randn(3, 2, 5, 4, dtype=torch.float64)
    k, v = torch.randn(2, 3, 2, length, 4, dtype=torch.float64)
    padding = None
    if masked:  # one row of padding alone
        padding = torch.rand(3, length) < 0.4
        padding[0], padding[1, 0] = True, False
        padding[2] = False
    torch.testing.assert_close(pack_attention(pack_q, k, v, padding), reference(pack_q, k, v, padding))


def test_a_row_of_padding_alone_has_finite_gradients():
    pack_q, k, v = (torch.randn(2, 1, 3, 4, requires_grad=True) for _ in range(3))
    padding = torch.tensor([[True] * 3, [False, False, True]])
    result = pack_attention(pack_q, k, v, padding)
    result.sum().backward()
    assert (result[0] == 0).all()
    assert all(t.grad.isfinite().all() and (t.grad[0] == 0).all() for t in (pack_q, k, v))
    assert (v.grad[1, :, 2] == 0).all()


def test_padding_content_never_matters():
    pack_q, k, v = torch.randn(1, 1, 3, 4), torch.randn(1, 1, 6, 4), torch.randn(1, 1, 6, 4)
    padding = torch.tensor([[False, False, False, False, True, True]])
    before = pack_attention(pack_q, k, v, padding)
    k[:, :, 4:], v[:, :, 4:] = 1e4, -1e4
    assert torch.equal(pack_attention(pack_q, k, v, padding), before)


def test_memory_is_linear(largest_tensor):
    largest = []
    for length in (4096, 8192):
        pack_q, k, v = (torch.randn(1, 1, n, 8, requires_grad=True) for n in (32, length, length))
        with largest_tensor() as mode:
            pack_attention(pack_q, k, v).sum().backward()
        largest.append(mode.numel)
    assert largest[1] <= 2.1 * largest[0] and largest[1] <= 8192 * 32
