"""USWAttn, one query block after another: time and memory linear in L, nothing of size [L, W] anywhere.

The keys a query block needs stay in one small ring, see :class:`KeyRing`. The backward pass walks the same way and
computes the probabilities again. :func:`distance_features` makes once a batch what all layers' biases are made of.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, n tokens of one sequence up to its last
unpadded one, m ≤ b queries of a block, W = S + 4b keys of a block (S + 3b where the window holds the global block).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.dropout import keep_mask, random_seed
from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.littlebird.bialibi import BiALiBi
from fairseq_littlebird.attention.littlebird.distance_features import distance_features
from fairseq_littlebird.attention.littlebird.key_ring import Block, GradientRing, KeyRing, Sequence, query_blocks

INPUTS = (  # of the operators
    "Tensor q, Tensor k, Tensor v, Tensor pack_k, Tensor pack_v, Tensor coefficients, Tensor features, "
    "Tensor? padding_mask, int block_size, float dropout_p, Tensor seed"
)


def blockwise_unpack_window_attention(
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
    features: Tensor | None = None,
) -> Tensor:
    """Arguments as :func:`dense_unpack_window_attention`; returns its result alone, <float>[B, H, L, D].

    Scores and bias are float32 (float64 for float64 inputs) whatever the inputs are. What stands in rows of padding
    is undefined, though finite, and no gradient comes from there.

    Args:
        features: :func:`distance_features` of these positions, where the caller has them already.
    """
    wide = torch.promote_types(q.dtype, torch.float32)
    if features is None:
        features = distance_features(q, positions, padding_mask, block_size, pack_k.shape[2])
    if slopes is None:
        coefficients = torch.zeros(q.shape[1], 3, dtype=wide, device=q.device)
    else:
        alpha, beta, gamma = slopes.coefficients()
        coefficients = -torch.stack([beta, gamma, alpha], dim=1).to(wide)
    seed = random_seed() if dropout_p else torch.zeros((), dtype=torch.int64)
    k, v, pack_k, pack_v = (t.to(q.dtype) for t in (k, v, pack_k, pack_v))  # autocast may leave them apart
    tensors = q, k, v, pack_k, pack_v, coefficients, features, padding_mask
    with torch.autocast(q.device.type, enabled=False):
        result: Tensor = _attend(*tensors, block_size, dropout_p, seed)
    return result


def _probabilities(
    q: Tensor, keys: Tensor, coefficients: Tensor, features: Tensor, sequence: Sequence, block: Block, b: int
) -> Tensor:
    """σ(q Kᵀ / √d - [D_P; D]) of one block, <float32 or wider>[H, m, W]; q [H, m, D], keys [H, W, D]."""
    (H, m, D), W = q.shape, keys.shape[1]
    scores = torch.mm(coefficients, features[:, block.features]).view(H, m, W)
    scores.baddbmm_(q, keys.transpose(1, 2), alpha=D**-0.5)
    S = W + block.columns.start - 4 * b
    sequence.hide(scores, block, b, S)
    if S == 0 and sequence.padding is not None:  # a query may see nothing: 0, not a mean of what is masked
        blind = (scores <= MASKED).all(dim=2, keepdim=True)
        return torch.softmax(scores, dim=2, out=scores).masked_fill_(blind, 0.0)
    return torch.softmax(scores, dim=2, out=scores)


@torch.library.custom_op("fairseq_littlebird::blockwise_attention", mutates_args=(), schema=f"({INPUTS}) -> Tensor")
def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor,
    pack_v: Tensor,
    coefficients: Tensor,
    features: Tensor,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float,
    seed: Tensor,
) -> Tensor:
    (B, _, L, _), b, wide = q.shape, block_size, coefficients.dtype
    result = torch.zeros_like(q)
    generator = torch.Generator(q.device).manual_seed(int(seed))
    for row in range(B):
        sequence = Sequence(padding_mask, row, L)
        keys, values = (
            KeyRing(x[row, :, : sequence.n], packed[row], b, wide) for x, packed in ((k, pack_k), (v, pack_v))
        )
        shared = features[row % len(features)]
        for block in query_blocks(sequence.n, b, pack_k.shape[2]):
            keys.enter(block.number)
            values.enter(block.number)
            q_block = q[row, :, block.queries].to(wide)
            p = _probabilities(q_block, keys.rows[:, block.columns], coefficients, shared, sequence, block, b)
            if dropout_p:
                p.mul_(keep_mask(p, dropout_p, generator))
            result[row, :, block.queries] = torch.bmm(p, values.rows[:, block.columns])
    return result


@_attend.register_fake
def _(q: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(q)


@torch.library.custom_op(
    "fairseq_littlebird::blockwise_attention_backward",
    mutates_args=(),
    schema=f"(Tensor grad, {INPUTS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _attend_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor,
    pack_v: Tensor,
    coefficients: Tensor,
    features: Tensor,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float,
    seed: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    (B, H, L, D), b, wide = q.shape, block_size, coefficients.dtype
    scale = D**-0.5
    dq, dk, dv, dpack_k, dpack_v, dcoefficients = map(torch.zeros_like, (q, k, v, pack_k, pack_v, coefficients))
    generator = torch.Generator(q.device).manual_seed(int(seed))
    for row in range(B):
        sequence = Sequence(padding_mask, row, L)
        n = sequence.n
        keys, values = KeyRing(k[row, :, :n], pack_k[row], b, wide), KeyRing(v[row, :, :n], pack_v[row], b, wide)
        dkeys = GradientRing(dk[row, :, :n], dpack_k[row], b, wide)
        dvalues = GradientRing(dv[row, :, :n], dpack_v[row], b, wide)
        shared = features[row % len(features)]
        for block in query_blocks(n, b, pack_k.shape[2]):
            at, columns = (row, slice(None), block.queries), block.columns
            keys.enter(block.number)
            values.enter(block.number)
            q_block, g_block = q[at].to(wide), grad[at].to(wide)
            k_block, v_block = keys.rows[:, columns], values.rows[:, columns]
            p = _probabilities(q_block, k_block, coefficients, shared, sequence, block, b)
            dp = torch.bmm(g_block, v_block.transpose(1, 2))
            dropped = p
            if dropout_p:
                keep = keep_mask(p, dropout_p, generator)
                dropped, dp = p * keep, dp.mul_(keep)
            dvalues.rows[:, columns].baddbmm_(dropped.transpose(1, 2), g_block)
            # not grad · result: a rounded result, times distances, would drown the slopes' gradients
            ds = torch.ops.aten._softmax_backward_data(dp, p, 2, wide)
            dcoefficients.addmm_(ds.view(H, -1), shared[:, block.features].t())
            dq[at] = torch.bmm(ds, k_block).mul_(scale)
            dkeys.rows[:, columns].baddbmm_(ds.transpose(1, 2), q_block, alpha=scale)
            for ring in (dkeys, dvalues):
                ring.leave(block.number, last=block.queries.stop == n)
    return dq, dk, dv, dpack_k, dpack_v, dcoefficients


@_attend_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, pack_k: Tensor, pack_v: Tensor, coefficients: Tensor, *_: Any
) -> tuple[Tensor, ...]:
    return tuple(map(torch.empty_like, (q, k, v, pack_k, pack_v, coefficients)))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.block_size, ctx.dropout_p, seed = inputs
    ctx.save_for_backward(*tensors, seed)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, seed = ctx.saved_tensors
    with torch.autocast(grad.device.type, enabled=False):
        gradients = _attend_backward(grad, *tensors, ctx.block_size, ctx.dropout_p, seed)
    return *gradients, None, None, None, None, None


_attend.register_autograd(_gradients, setup_context=_save)
