"""The causal pack: for each block, the pack vectors' attention over the tokens of all blocks before it.

Attention of a few queries over a growing set of keys is a sum that goes on: with o_t the result over block t alone, and
z_t the logarithm of its softmax's denominator,

    Z_t = log(e^Z_{t-1} + e^z_t)      C_t = e^(Z_{t-1} - Z_t) C_{t-1} + e^(z_t - Z_t) o_t

and block t reads C_{t-1}. Time is linear in L, memory that of n states and of the scores.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, n = ⌈L / b⌉ blocks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.dropout import dropout
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import MASKED, masked_attention


def dense_causal_pack_attention(
    pack_q: Tensor, k: Tensor, v: Tensor, padding_mask: Tensor | None, block_size: int, dropout_p: float = 0.0
) -> Tensor:
    """Attn(P, X) for each block over the tokens of the blocks before it: the oracle, n softmaxes over L tokens.

    Args:
        pack_q: <float>[H, S, D], queries of P.
        k, v: <float>[B, H, L, D], keys and values of X.
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b.
        dropout_p: dropout of the attention probabilities.
    Returns:
        C_P <float>[B, H, n, S, D]; 0 for a block with no token before it, such as block 0.
    """
    check_length(k.shape[2])
    B, L = len(k), k.shape[2]
    index, packs = torch.arange(L, device=k.device), []
    queries = pack_q.expand(B, -1, -1, -1)
    for block in range(-(-L // block_size)):
        visible = (index < block * block_size).expand(B, 1, 1, L)
        if padding_mask is not None:
            visible = visible & ~padding_mask[:, None, None]
        packs.append(masked_attention(queries, k, v, visible, dropout_p)[0])
    return torch.stack(packs, dim=2)


def causal_pack_attention(
    pack_q: Tensor, k: Tensor, v: Tensor, padding_mask: Tensor | None, block_size: int, dropout_p: float = 0.0
) -> Tensor:
    """Arguments and result as :func:`dense_causal_pack_attention`'s; what blocks with no token before them get is 0.

    Dropout is drawn once a token: the blocks after it agree on what it gives.
    """
    check_length(k.shape[2])
    n = -(-k.shape[2] // block_size)
    packing, blocks = (n - 1) * block_size, (n - 1, block_size)  # the last block packs nothing
    hidden = None if padding_mask is None else padding_mask[:, :packing].unflatten(1, blocks)
    keys, values = (x[:, :, :packing].unflatten(2, blocks) for x in (k, v))  # [B, H, n - 1, b, D]
    packs, _ = prefixes(*packed(pack_q[:, None], keys, values, hidden, dropout_p))
    return F.pad(packs, (0, 0, 0, 0, 1, 0)).to(v.dtype)


def packed(
    pack_q: Tensor, k: Tensor, v: Tensor, hidden: Tensor | None, dropout_p: float = 0.0
) -> tuple[Tensor, Tensor]:
    """o and z of each block alone.

    Args:
        pack_q: <float>[H, 1, S, D].
        k, v: <float>[B, H, n, b, D].
        hidden: <bool>[B, n, b], padding, or None.
        dropout_p: dropout of the attention probabilities.
    Returns:
        <float32 or wider>[B, H, n, S, D] and <float32 or wider>[B, H, n, S]; 0 and MASKED where all is padding.
    """
    wide = torch.promote_types(k.dtype, torch.float32)
    with torch.autocast(k.device.type, enabled=False):
        scores = pack_q.to(wide) @ k.to(wide).transpose(3, 4) * k.shape[4] ** -0.5  # [B, H, n, S, b]
        if hidden is not None:
            scores = scores.masked_fill(hidden[:, None, :, None], MASKED)
        weights = scores.logsumexp(dim=4)
        probabilities = (scores - weights[..., None]).exp()
        if hidden is not None:
            nothing = hidden.all(dim=2)[:, None, :, None]  # [B, 1, n, 1]
            probabilities = probabilities.masked_fill(nothing[..., None], 0.0)
            weights = weights.masked_fill(nothing, MASKED)
        return dropout(probabilities, dropout_p) @ v.to(wide), weights


def prefixes(states: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """C and Z of each block and those before it, of o and z of each alone; in their shapes."""
    total = weights.logcumsumexp(dim=2)
    before = torch.cat([torch.full_like(total[:, :, :1], MASKED), total[:, :, :-1]], dim=2)
    kept, added = (before - total).exp(), (weights - total).exp()
    packs: Tensor = _Recurrence.apply(kept[..., None], added[..., None] * states)
    return packs, total


class _Recurrence(torch.autograd.Function):
    """C_t = f_t C_{t-1} + y_t, from C_{-1} = 0."""

    @staticmethod
    def forward(ctx: Any, f: Tensor, y: Tensor) -> Tensor:
        """
        Args:
            f: <float>[B, H, n, S, 1].
            y: <float>[B, H, n, S, D].
        Returns:
            C <float>[B, H, n, S, D].
        """
        c = y.clone()
        for t in range(1, c.shape[2]):
            c[:, :, t].addcmul_(f[:, :, t], c[:, :, t - 1])
        ctx.save_for_backward(f, c)
        return c

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        f, c = ctx.saved_tensors
        of_y = grad.clone(memory_format=torch.contiguous_format)
        for t in range(c.shape[2] - 2, -1, -1):
            of_y[:, :, t].addcmul_(f[:, :, t + 1], of_y[:, :, t + 1])
        of_f = torch.zeros_like(f)
        of_f[:, :, 1:] = (of_y[:, :, 1:] * c[:, :, :-1]).sum(dim=4, keepdim=True)
        return of_f, of_y
