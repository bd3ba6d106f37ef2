"""What PyTorch asks of operators of one's own: schemas that hold, shapes without data, gradients, compiled or not."""

from __future__ import annotations

import torch
from torch.library import opcheck

from fairseq_littlebird.attention.common import dropout
from fairseq_littlebird.attention.littlebird import absorbed_pack, blockwise, distance_features
from fairseq_littlebird.modules import feed_forward

SEED = torch.tensor(3)
PADDING = torch.tensor([[False] * 9, [False] * 6 + [True] * 3])


def leaf(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_blockwise_attention():
    B, H, L, D, S, b = 2, 2, 9, 4, 3, 4
    positions = torch.arange(L).expand(B, L)
    opcheck(distance_features._features, (positions, PADDING, b, S, torch.float64))
    features, masked = distance_features._features(positions, PADDING, b, S, torch.float64)
    tensors = leaf(B, H, L, D), leaf(B, H, L, D), leaf(B, H, L, D), leaf(B, H, S, D), leaf(B, H, S, D), leaf(H, 3)
    opcheck(blockwise._attend, (*tensors, features, masked, PADDING, b, 0.3, SEED))
    opcheck(blockwise._attend, (*tensors, features[:1], masked[:1], None, b, 0.0, SEED))


def test_absorbed_pack_attention():
    for padding, dropout_p in ((PADDING, 0.3), (None, 0.0)):
        opcheck(absorbed_pack._mix, (leaf(2, 6, 8), leaf(2, 9, 8), padding, 0.5, dropout_p, SEED, True))


def test_dropout():
    opcheck(dropout._dropout, (leaf(3, 5), 0.4, SEED))


def test_feed_forward():
    C, inner = 6, 10
    shapes = (C,), (C,), (inner, C), (inner,), (C, inner), (C,), (C,), (C,)
    parameters = [leaf(*shape) for shape in shapes]
    opcheck(feed_forward._forward, (leaf(7, C), parameters, 1e-5, 1e-5, 0.3, SEED, True))
