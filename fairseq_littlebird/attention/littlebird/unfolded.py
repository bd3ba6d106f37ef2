"""USWAttn with every block's keys side by side: plain PyTorch, a few large products, five copies of keys and values.

The fastest where a block is small, and on accelerators without a kernel of ours; memory is linear in L, with W for a
factor.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, n blocks, W = S + 4b keys of a block.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.blocks import neighbours, split_blocks
from fairseq_littlebird.attention.common.dropout import dropout
from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.littlebird.bialibi import BiALiBi, distances


def unfolded_unpack_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor,
    pack_v: Tensor,
    slopes: BiALiBi | None,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float = 0.0,
) -> Tensor:
    """Arguments as :func:`dense_unpack_window_attention`; returns its result alone, <float>[B, H, L, D].

    Scores and bias are float32 (float64 for float64 inputs) whatever the inputs are.
    """
    (_, H, L, D), S, b = q.shape, pack_k.shape[2], block_size
    wide = torch.promote_types(q.dtype, torch.float32)
    with torch.autocast(q.device.type, enabled=False):
        keys, values = _windows(k, pack_k, b), _windows(v, pack_v, b)  # [B, H, n, W, D]
        scores = split_blocks(q, b).to(wide) @ keys.to(wide).transpose(3, 4) * D**-0.5  # [B, H, n, b, W]

        index = torch.arange(L, device=q.device)[None]
        padding = torch.zeros_like(index, dtype=torch.bool) if padding_mask is None else padding_mask
        unseen = _unseen(padding, b)[:, None, :, None]  # [B or 1, 1, n, 1, 4b]
        bias = _bias(slopes, index if positions is None else positions, index, b, wide)  # [B or 1, H, n, b, 4b]
        pack_bias = torch.zeros((), device=q.device) if slopes is None else slopes.pack_distance(b).view(1, H, 1, 1, 1)
        scores = torch.cat([scores[..., :S] - pack_bias, (scores[..., S:] - bias).masked_fill(unseen, MASKED)], dim=4)

        p = scores.softmax(dim=4)
        if S == 0:  # without pack vectors a query may see nothing: 0, not a mean of what is masked
            p = p.masked_fill(unseen.all(dim=4, keepdim=True), 0.0)
        result = dropout(p, dropout_p) @ values.to(wide)
        return result.flatten(2, 3)[:, :, :L].to(q.dtype)


def _windows(x: Tensor, pack: Tensor, b: int) -> Tensor:
    """[pack; global block; left, own and right block] of every block, [B, H, n, W, D]; 0 past the ends."""
    blocks = split_blocks(x, b)
    n, (left, _, right) = blocks.shape[2], neighbours(blocks)
    first = blocks[:, :, :1].expand(-1, -1, n, -1, -1)
    pack = pack[:, :, None].expand(-1, -1, n, -1, -1)
    return torch.cat([pack, first, left, blocks, right], dim=3)


def _keys(x: Tensor, b: int, fill: float) -> Tensor:
    """A value of each token, [B, L], for each key of a block that is a token: [B, n, 4b]; ``fill`` past the ends."""
    blocks = split_blocks(x, b, dim=1, fill=fill)
    return torch.cat([blocks[:, :1].expand_as(blocks), *neighbours(blocks, dim=1, fill=fill)], dim=2)


def _unseen(padding_mask: Tensor, b: int) -> Tensor:
    """Padding, what is past the ends, and the global block where the window has it: <bool>[B, n, 4b]."""
    unseen = _keys(padding_mask, b, True)
    unseen[:, :2, :b] = True
    return unseen


def _bias(slopes: BiALiBi | None, positions: Tensor, index: Tensor, b: int, wide: torch.dtype) -> Tensor:
    """D for the keys that are tokens, <wide>[B or 1, H, n, b, 4b]."""
    if slopes is None:
        return torch.zeros((), dtype=wide, device=positions.device)
    queries = split_blocks(positions, b, dim=1)
    left, right = distances(queries, _keys(positions, b, 0), wide)  # [B or 1, n, b, 4b]
    of_queries = split_blocks(index, b, dim=1, fill=1)
    to_first = (of_queries.unsqueeze(3) == 0) ^ (_keys(index, b, 1).unsqueeze(2) == 0)
    alpha, beta, gamma = (slope.to(wide).view(1, -1, 1, 1, 1) for slope in slopes.coefficients())
    return torch.where(to_first[:, None], alpha, beta * left[:, None] + gamma * right[:, None])
