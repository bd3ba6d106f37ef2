"""The backward kernel of queries: dq, and the sums that the slopes' gradients need."""

from __future__ import annotations

import triton
import triton.language as tl

from fairseq_littlebird.attention.littlebird.kernels.common import (
    ABSENT,
    LOG2_E,
    biased,
    dot,
    far_keys,
    load_rows,
    positions_of,
    reach,
    slopes_of,
    store_rows,
    window_keys,
)
from fairseq_littlebird.attention.littlebird.kernels.dropout import row_words
from fairseq_littlebird.attention.littlebird.kernels.tile_gradient import gradient_of_scores


@triton.jit
def queries_backward_kernel(
    q_ptr, k_ptr, v_ptr, far_k_ptr, far_v_ptr, slopes_ptr, positions_ptr, extent_ptr, seed_ptr,
    result_ptr, log_sum_ptr, grad_ptr, delta_ptr, dq_ptr, dslopes_ptr,
    batch_stride, head_stride, row_stride, position_stride, H, L, S, F, scale, keep_scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """M queries of a head: dq, δ = dO · O for the keys' kernels, and their share of the slopes' gradients.

    Writes dslopes <float>[B · H, Z, 3]. Grid (Z, B · H).
    """
    row = tl.program_id(1)
    batch, head = row // H, row % H
    begin = tl.program_id(0) * M
    query, column = begin + tl.arange(0, M), tl.arange(0, WIDTH)
    alpha, beta, gamma, pack = slopes_of(slopes_ptr, head, H, BLOCK, WIDE)
    far_end, window, window_end = reach(extent_ptr, batch, begin, L, S, F, BLOCK, M, N)

    sequence = batch.to(tl.int64) * position_stride
    base = batch.to(tl.int64) * batch_stride + head.to(tl.int64) * head_stride
    far = row.to(tl.int64) * F * D
    out = batch.to(tl.int64) * L * H * D + head * D
    flat = row.to(tl.int64) * L
    q = load_rows(q_ptr + base, query, row_stride, column, L, D)
    grad = load_rows(grad_ptr + out, query, H * D, column, L, D)
    result = load_rows(result_ptr + out, query, H * D, column, L, D)
    delta = tl.sum(grad.to(WIDE) * result.to(WIDE), axis=1)
    log_sum = tl.load(log_sum_ptr + flat + query, mask=query < L, other=ABSENT)
    p_query = positions_of(positions_ptr + sequence, query, L)
    is_first = (query == 0)[:, None]
    words = query
    if THRESHOLD > 0:
        words = row_words(seed_ptr, query, row)
    dq, seen = tl.zeros((M, WIDTH), WIDE), tl.zeros((M, WIDTH), WIDE)  # Σ ds k, Σ p k
    # sums of p and of ds over a row's keys: packed, token 0, and times r where r > 0 and where r < 0
    zero = tl.zeros((M,), WIDE)
    p_pack, p_zero, p_left, p_right = zero, zero, zero, zero
    ds_pack, ds_zero, ds_left, ds_right = zero, zero, zero, zero
    excess = zero

    for start in range(0, far_end, N):
        slot = start + tl.arange(0, N)
        k = load_rows(far_k_ptr + far, slot, D, column, F, D)
        v = load_rows(far_v_ptr + far, slot, D, column, F, D)
        weight, position, cost, first = far_keys(slot, S, L, F, alpha, pack, positions_ptr + sequence)
        products = dot(q, tl.trans(k), OPERAND, PRECISION) * (scale * LOG2_E)
        r = p_query[:, None] * weight[None, :] - position[None, :]
        scores = biased(products, r, cost[None, :], first[None, :], is_first, beta, gamma, slopes_ptr is not None)
        dp = dot(grad, tl.trans(v), OPERAND, PRECISION)
        p, _, ds = gradient_of_scores(
            scores, log_sum[:, None], dp, delta[:, None], words[:, None], slot[None, :], keep_scale, THRESHOLD
        )
        dq += dot(ds.to(k.dtype), k, OPERAND, PRECISION)
        seen += dot(p.to(k.dtype), k, OPERAND, PRECISION)
        excess += tl.sum(ds, axis=1)
        if slopes_ptr is not None:
            left, right = tl.maximum(r, 0.0), tl.maximum(-r, 0.0)
            is_pack, is_zero = (slot < S)[None, :], (slot == S)[None, :]
            p_pack += tl.sum(tl.where(is_pack, p, 0.0), axis=1)
            p_zero += tl.sum(tl.where(is_zero, p, 0.0), axis=1)
            p_left += tl.sum(p * left, axis=1)
            p_right += tl.sum(p * right, axis=1)
            ds_pack += tl.sum(tl.where(is_pack, ds, 0.0), axis=1)
            ds_zero += tl.sum(tl.where(is_zero, ds, 0.0), axis=1)
            ds_left += tl.sum(ds * left, axis=1)
            ds_right += tl.sum(ds * right, axis=1)

    for start in range(window, window_end, N):
        token = start + tl.arange(0, N)
        k = load_rows(k_ptr + base, token, row_stride, column, L, D)
        v = load_rows(v_ptr + base, token, row_stride, column, L, D)
        position, cost = window_keys(token, L, positions_ptr + sequence)
        products = dot(q, tl.trans(k), OPERAND, PRECISION) * (scale * LOG2_E)
        r = p_query[:, None] - position[None, :]
        scores = biased(products, r, cost[None, :], alpha, is_first, beta, gamma, slopes_ptr is not None)
        dp = dot(grad, tl.trans(v), OPERAND, PRECISION)
        p, _, ds = gradient_of_scores(
            scores, log_sum[:, None], dp, delta[:, None], words[:, None], (S + token)[None, :], keep_scale, THRESHOLD
        )
        dq += dot(ds.to(k.dtype), k, OPERAND, PRECISION)
        seen += dot(p.to(k.dtype), k, OPERAND, PRECISION)
        excess += tl.sum(ds, axis=1)
        if slopes_ptr is not None:
            left, right = tl.maximum(r, 0.0), tl.maximum(-r, 0.0)
            p_left += tl.sum(p * left, axis=1)
            p_right += tl.sum(p * right, axis=1)
            ds_left += tl.sum(ds * left, axis=1)
            ds_right += tl.sum(ds * right, axis=1)

    # a row of ds sums to 0 but for the rounding of the result in δ, which would drown the gradients of saturated rows
    tl.store(delta_ptr + flat + query, delta + excess, mask=query < L)
    store_rows(dq_ptr + out, query, H * D, column, L, D, (dq - excess[:, None] * seen) * scale)
    if slopes_ptr is not None:
        # the query of token 0: α for all tokens but itself, whatever their distance
        moves = (query > 0).to(WIDE)
        p_left, p_right, ds_left, ds_right = p_left * moves, p_right * moves, ds_left * moves, ds_right * moves
        p_first = tl.where(query == 0, 1.0 - p_pack - p_zero, p_zero)
        ds_first = tl.where(query == 0, excess - ds_pack - ds_zero, ds_zero)
        half: tl.constexpr = 0.5 * BLOCK
        dalpha = excess * p_first - ds_first
        dbeta = excess * (p_left + half * p_pack) - (ds_left + half * ds_pack)
        dgamma = excess * (p_right + half * p_pack) - (ds_right + half * ds_pack)
        place = dslopes_ptr + (row.to(tl.int64) * tl.num_programs(0) + tl.program_id(0)) * 3
        tl.store(place, tl.sum(dalpha, axis=0))
        tl.store(place + 1, tl.sum(dbeta, axis=0))
        tl.store(place + 2, tl.sum(dgamma, axis=0))
