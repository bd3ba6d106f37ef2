"""Batches without their padding."""

from __future__ import annotations

import torch

from fairseq_littlebird.modules.attention.context import checked_padding
from fairseq_littlebird.modules.token_annotations import TokenAnnotations
from fairseq_littlebird.modules.unpadding import NoUnpadding, Unpadding, unpadding_of


def test_takes_the_unpadded_and_puts_them_back():
    padding = torch.tensor([[False, False, True], [False, True, True]])
    unpadding, x = Unpadding(padding), torch.arange(12.0).view(2, 3, 2)
    unpadded = unpadding.unpad(x)
    assert torch.equal(unpadded, x[~padding])
    assert torch.equal(unpadding.pad(unpadded), x.masked_fill(padding[..., None], 0.0))


def test_a_little_padding_is_computed_with():
    mask = torch.zeros(2, 100, dtype=torch.bool)
    mask[0, -5:] = True
    assert isinstance(unpadding_of(mask), NoUnpadding) and isinstance(unpadding_of(None), NoUnpadding)
    mask[0, -50:] = True
    assert isinstance(unpadding_of(mask), Unpadding)


def test_what_the_batch_knows_is_not_counted():
    """Of tensors without numbers, as a device's would have to be waited for; accelerators compute with more padding."""
    mask = torch.zeros(2, 100, dtype=torch.bool, device="meta")
    for unpadded, kind in ((200, None), (170, NoUnpadding), (140, Unpadding)):
        index = torch.zeros(unpadded, dtype=torch.int64, device="meta")
        known_mask, known = checked_padding(mask, TokenAnnotations(unpadded=index))
        assert (known_mask is None) == (kind is None) and isinstance(known, kind or NoUnpadding)
    assert known.index is index
