"""Causal unpack and window attention, block by block: time and memory linear in L.

The first two blocks see all that is before them; from the third on a block sees [C_P; block 0; left block; own block].

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, n = ⌈L / b⌉ blocks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.causal_littlebird.dense import has_tokens_before
from fairseq_littlebird.attention.causal_littlebird.slopes import CausalBiALiBi
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.common.window_blocks import WindowBlocks, window_block_attention


def causal_unpack_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor | None,
    pack_v: Tensor | None,
    slopes: CausalBiALiBi,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float = 0.0,
) -> Tensor:
    """Arguments and result as :func:`dense_causal_unpack_window_attention`'s, <float>[B, H, L, D].

    Padding on the right needs no mask: only padded queries see it.
    """
    check_length(q.shape[2])
    inputs = q, k, v, pack_k, pack_v, slopes, padding_mask, block_size
    result = window_block_attention(_first_blocks(*inputs), dropout_p)
    if q.shape[2] <= 2 * block_size:
        return result
    return torch.cat([result, window_block_attention(_other_blocks(*inputs), dropout_p)], dim=2)


def _first_blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor | None,
    pack_v: Tensor | None,
    slopes: CausalBiALiBi,
    padding_mask: Tensor | None,
    b: int,
) -> WindowBlocks:
    """The first two as one; the queries of the second see the pack of the first."""
    n = min(q.shape[2], 2 * b)
    index = torch.arange(n, device=q.device)
    bias = (-slopes(index, index)).masked_fill(index > index[:, None], MASKED)
    q, k, v = (x[:, :, :n] for x in (q, k, v))
    hidden = None if padding_mask is None else padding_mask[:, :n]
    if pack_k is None or pack_v is None:
        return WindowBlocks(q, k, v, bias, hidden=hidden)
    which = slice(1, 2) if n > b else slice(0, 1)  # a lone block reads none, but it does not leave the graph
    pack_k, pack_v = (x[:, :, which] for x in (pack_k, pack_v))
    of_pack = _of_pack(slopes, b, n, pack_k.shape[3]).masked_fill(index[:, None] < b, MASKED)
    return WindowBlocks(
        q,
        k,
        v,
        torch.cat([of_pack, bias], dim=2),
        own_k=pack_k,
        own_v=pack_v,
        hidden=hidden,
        own_hidden=None if padding_mask is None else _empty_packs(padding_mask, b, pack_k.shape[3])[:, which],
    )


def _other_blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor | None,
    pack_v: Tensor | None,
    slopes: CausalBiALiBi,
    padding_mask: Tensor | None,
    b: int,
) -> WindowBlocks:
    """Those from the third on."""
    packs = (None if pack is None else pack[:, :, 2:] for pack in (pack_k, pack_v))
    tokens = (x[:, :, part] for x, part in ((q, slice(2 * b, None)), (k, slice(b, None)), (v, slice(b, None))))
    given = later_blocks(*tokens, k[:, :, :b], v[:, :, :b], *packs, slopes, 2, b)
    if padding_mask is None or given.own_k is None:
        return given
    n, S = given.own_k.shape[2], given.own_k.shape[3] - b
    own_hidden = padding_mask[:, None, :b].expand(-1, n, -1)
    if S:
        own_hidden = torch.cat([_empty_packs(padding_mask, b, S)[:, 2:], own_hidden], dim=2)
    return given._replace(hidden=padding_mask[:, b:], own_hidden=own_hidden)


def later_blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    global_k: Tensor,
    global_v: Tensor,
    pack_k: Tensor | None,
    pack_v: Tensor | None,
    slopes: CausalBiALiBi,
    first: int,
    block_size: int,
) -> WindowBlocks:
    """Blocks from ``first`` ≥ 2 on, whose own keys are [C_P; block 0].

    Args:
        q: <float>[B, H, L, D], from the first token of that block on.
        k, v: <float>[B, H, b + L, D], with the block before it.
        global_k, global_v: <float>[B, H, b, D], of block 0.
        pack_k, pack_v: <float>[B, H, ⌈L / b⌉, S, D], of each block, or None.
        slopes: the layer's.
        first: number of the block.
        block_size: b.
    """
    b, n = block_size, -(-q.shape[2] // block_size)
    index = torch.arange(3 * b, device=q.device)
    queries = index[2 * b :]
    bias = (-slopes(queries, index)).masked_fill(index > queries[:, None], MASKED)  # [H, b, 3b], of block 2
    beta = slopes.coefficients()[1]
    growth = (-beta[:, None] * b).expand(-1, b).masked_fill(index[:b] == 0, 0.0)  # α stays as it is
    of_global = bias[:, :, :b] + growth[:, None] * (first - 2)
    own_k, own_v = (x[:, :, None].expand(-1, -1, n, -1, -1) for x in (global_k, global_v))
    if pack_k is None or pack_v is None:
        bias = torch.cat([of_global, bias[:, :, b:]], dim=2)
    else:
        S = pack_k.shape[3]
        own_k = torch.cat([pack_k.to(k.dtype), own_k], dim=3)
        own_v = torch.cat([pack_v.to(v.dtype), own_v], dim=3)
        bias, growth = torch.cat([_of_pack(slopes, b, b, S), of_global, bias[:, :, b:]], dim=2), F.pad(growth, (S, 0))
    return WindowBlocks(q, k, v, bias, own_k=own_k, own_v=own_v, growth=growth)


def _of_pack(slopes: CausalBiALiBi, b: int, queries: int, S: int) -> Tensor:
    """-D_P, <float32 or wider>[H, queries, S]."""
    return -slopes.pack_distance(b)[:, None, None].expand(-1, queries, S)


def _empty_packs(padding_mask: Tensor, b: int, S: int) -> Tensor:
    """Which blocks have only padding before them, <bool>[B, n, S]."""
    return ~has_tokens_before(padding_mask, b)[:, :, None].expand(-1, -1, S)
