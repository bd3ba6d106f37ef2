"""docs/attention_variant.md's example: attention to the left block and the own one, held to its mask."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fairseq_littlebird.attention.common.masked_softmax import masked_attention
from fairseq_littlebird.modules.attention import UnpackWindowAttention
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder


def left_window_pattern(length, block_size):
    """Which token sees which: its own block and the left one. <bool>[L, L]; rows are queries."""
    block = torch.arange(length) // block_size
    behind = block[:, None] - block
    return (behind == 0) | (behind == 1)


def dense_left_window_attention(q, k, v, pack_k, pack_v, padding_mask, block_size):
    """The reference: quadratic, over a mask. Arguments and result as left_window_attention's."""
    (_, _, L, _), S = q.shape, pack_k.shape[2]
    visible = left_window_pattern(L, block_size) & ~padding_mask[:, None]  # [B, L, L]
    visible = F.pad(visible, (S, 0), value=True)[:, None]  # every token sees every pack vector
    return masked_attention(q, torch.cat([pack_k, k], 2), torch.cat([pack_v, v], 2), visible)[0]


def left_window_attention(q, k, v, pack_k, pack_v, padding_mask, block_size):
    """σ(Q(X) [K(C_P); K(X)]ᵀ / √d) [V(C_P); V(X)] over the pack vectors, the left block and the own one.

    Args:
        q, k, v: <float>[B, H, L, D].
        pack_k, pack_v: <float>[B, H, S, D], S ≥ 1.
        padding_mask: <bool>[B, L], True = padding.
        block_size: b.
    Returns:
        <float>[B, H, L, D].
    """
    L, S, b = q.shape[2], pack_k.shape[2], block_size

    def blocks(x, fill=0.0):  # [..., L, D] to [..., n, b, D]
        return F.pad(x, (0, 0, 0, -L % b), value=fill).unflatten(-2, (-1, b))

    def with_left(x, fill=0.0):  # the left block and the own one, [..., n, 2b, D]
        return torch.cat([F.pad(x, (0, 0, 0, 0, 1, -1), value=fill), x], dim=-2)

    def keys(x, pack):  # [B, H, n, S + 2b, D]
        x = with_left(blocks(x))
        return torch.cat([pack.unsqueeze(2).expand(-1, -1, x.shape[2], -1, -1), x], dim=-2)

    seen = ~with_left(blocks(padding_mask[..., None], True), True)[..., 0]  # [B, n, 2b]
    seen = F.pad(seen, (S, 0), value=True)[:, None, :, None]
    result = F.scaled_dot_product_attention(blocks(q), keys(k, pack_k), keys(v, pack_v), seen)
    return result.flatten(2, 3)[:, :, :L]


class LeftWindowAttention(UnpackWindowAttention):
    """LittleBird's, without anything to the right of a block."""

    def attend(self, q, k, v, pack_k, pack_v, context):
        mask = context.padding_mask
        if mask is None:
            mask = torch.zeros(len(q), q.shape[2], dtype=torch.bool, device=q.device)
        return left_window_attention(q, k, v, pack_k, pack_v, mask, self.block_size)


def left_window_encoder(config):
    return LittleBirdEncoder(config, attention=LeftWindowAttention)


def inputs(L, S=3, B=2, H=2, D=8):
    generator = torch.Generator().manual_seed(L)
    shapes = [(B, H, L, D)] * 3 + [(B, H, S, D)] * 2
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]
    padding_mask = torch.zeros(B, L, dtype=torch.bool)
    padding_mask[1, L // 2 + 1 :] = True
    return tensors, padding_mask


@pytest.mark.parametrize("L", [1, 15, 16, 17, 63, 111])
def test_equals_the_reference_with_every_gradient(L):
    tensors, padding_mask = inputs(L)
    results = [
        attend(*tensors, padding_mask, 16) * ~padding_mask[:, None, :, None]
        for attend in (left_window_attention, dense_left_window_attention)
    ]
    torch.testing.assert_close(*results)
    upstream = torch.randn_like(results[0])
    torch.testing.assert_close(*(torch.autograd.grad(result, tensors, upstream) for result in results))


def test_memory_is_linear(largest_tensor):
    sizes = []
    for L in (512, 1024):
        tensors, padding_mask = inputs(L)
        with torch.no_grad(), largest_tensor() as largest:
            left_window_attention(*tensors, padding_mask, 16)
        sizes.append(largest.numel)
    assert sizes[1] <= 2.1 * sizes[0]


def test_nothing_comes_from_the_right_but_through_the_pack():
    config = LittleBirdConfig(50, layers=1, embed_dim=16, ffn_embed_dim=24, heads=2, pack_size=4, block_size=8)
    encoder = left_window_encoder(config).eval()
    tokens = torch.randint(4, 50, (1, 40))
    other = tokens.clone()
    other[0, 24:] = 7
    with torch.no_grad():
        for part in encoder.layers[0].pack_attention.v.parameters():
            part.zero_()  # the pack vectors are the same whatever the tokens
        before, after = encoder(tokens), encoder(other)
    assert torch.equal(before[0, :24], after[0, :24]) and not torch.equal(before[0, 24:], after[0, 24:])
