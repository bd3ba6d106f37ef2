"""Batches without their padding."""

from __future__ import annotations

import torch

from fairseq_littlebird.modules.unpadding import PaddedRows, UnpaddedRows, rows_of


def test_takes_the_unpadded_and_puts_them_back():
    padding = torch.tensor([[False, False, True], [False, True, True]])
    rows, x = UnpaddedRows(padding), torch.arange(12.0).view(2, 3, 2)
    taken = rows.take(x)
    assert torch.equal(taken, x[~padding])
    assert torch.equal(rows.put(taken), x.masked_fill(padding[..., None], 0.0))


def test_a_little_padding_is_computed_with():
    mask = torch.zeros(2, 100, dtype=torch.bool)
    mask[0, -5:] = True
    assert isinstance(rows_of(mask), PaddedRows) and isinstance(rows_of(None), PaddedRows)
    mask[0, -50:] = True
    assert isinstance(rows_of(mask), UnpaddedRows)
