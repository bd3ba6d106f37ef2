"""The backward kernel that makes every tile's scores once: five products of their size where two kernels make seven.

A program walks the queries of a chunk, block by block, first with the keys of block 0, then with each tile of packed
keys, last with the keys of their own block and its neighbours. dq of the first walks waits in float32 for the last one.
Of far keys a program writes its chunk's share; those of the window are whole: the last walk begins a block before the
chunk, whose own gradients the chunk before stores.

Legend and tensors as in this package; blocks of queries and of keys have b rows. K chunks.
"""

from __future__ import annotations

import triton
import triton.language as tl

from fairseq_littlebird.attention.littlebird.kernels.common import (
    ABSENT,
    MASKED_COST,
    SIZES,
    dot,
    extent_of,
    is_token,
    load_rows,
    packed_cost,
    places_within,
    slopes_of,
    start_of,
    start_of_result,
    store_rows,
    tile_and_row,
)
from fairseq_littlebird.attention.littlebird.kernels.dropout import row_words
from fairseq_littlebird.attention.littlebird.kernels.scores import packed_scores, side_scores, token_scores
from fairseq_littlebird.attention.littlebird.kernels.tile_gradient import gradient_of_scores


@triton.jit(do_not_specialize=SIZES)
def delta_kernel(
    result_ptr, rest_ptr, grad_ptr, delta_ptr, H, L,
    D: tl.constexpr, M: tl.constexpr, WIDTH: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """δ = dO · O of M queries of a head, <float32 or wider>[B · H, L]. Grid (B · H · Z,)."""
    tile, row = tile_and_row(tl.cdiv(L, M))
    query, column = tile * M + tl.arange(0, M), tl.arange(0, WIDTH)
    out = start_of_result(row // H, row % H, L, H, D)
    grad = load_rows(grad_ptr + out, query, H * D, column, query < L, D).to(WIDE)
    result = load_rows(result_ptr + out, query, H * D, column, query < L, D).to(WIDE)
    if rest_ptr is not None:
        # δ from the rounded result alone would drown the gradients of saturated rows
        result += load_rows(rest_ptr + out, query, H * D, column, query < L, D).to(WIDE)
    tl.store(delta_ptr + row.to(tl.int64) * L + query, tl.sum(grad * result, axis=1), mask=query < L)


@triton.jit
def load_queries(
    q_ptr, grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, query, stride, out_stride, column, L,
    D: tl.constexpr, PADDED: tl.constexpr, THRESHOLD: tl.constexpr,
):  # fmt: skip
    """q and its upstream gradient, where the queries stand, log-sums, δ, and what dropout draws from."""
    position, _ = places_within(places, query, L)
    asking = is_token(query, position, L, PADDED)
    q = load_rows(q_ptr, query, stride, column, asking, D)
    grad = load_rows(grad_ptr, query, out_stride, column, asking, D)
    log_sum = tl.load(log_sum_ptr + query, mask=query < L, other=ABSENT)
    delta = tl.load(delta_ptr + query, mask=asking, other=0.0)
    low, factor = query, query
    if THRESHOLD > 0:
        low, factor = row_words(words_ptr, query, L)
    return q, grad, position, log_sum, delta, low, factor


@triton.jit
def load_keys(k_ptr, v_ptr, places, token, stride, column, L, D: tl.constexpr, PADDED: tl.constexpr):
    """k, v, where the keys stand and what they cost."""
    position, cost = places_within(places, token, L)
    inside = is_token(token, position, L, PADDED)
    k = load_rows(k_ptr, token, stride, column, inside, D)
    v = load_rows(v_ptr, token, stride, column, inside, D)
    return k, v, position, cost


@triton.jit
def tile_gradients(
    scores, q, grad, k, v, log_sum, delta, low, factor, slot, keep_scale,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """p, the scores' gradient, and what the tile adds to dq, dk and dv."""
    dp = dot(grad, tl.trans(v), OPERAND, PRECISION)
    p, dropped, ds = gradient_of_scores(
        scores, log_sum[:, None], dp, delta[:, None], low[:, None], factor[:, None], slot[None, :], keep_scale,
        THRESHOLD,
    )  # fmt: skip
    narrow = ds.to(q.dtype)
    to_v = dot(tl.trans(dropped.to(grad.dtype)), grad, OPERAND, PRECISION)
    to_k = dot(tl.trans(narrow), q, OPERAND, PRECISION)
    return p, ds, dot(narrow, k, OPERAND, PRECISION), to_k, to_v


@triton.jit
def load_sums(pointer, query, L):
    here = query < L
    excess = tl.load(pointer + query, mask=here, other=0.0)
    p_edge = tl.load(pointer + L + query, mask=here, other=0.0)
    p_left = tl.load(pointer + 2 * L + query, mask=here, other=0.0)
    return excess, p_edge, p_left, tl.load(pointer + 3 * L + query, mask=here, other=0.0)


@triton.jit
def store_sums(pointer, query, L, excess, p_edge, p_left, p_right):
    here = query < L
    tl.store(pointer + query, excess, mask=here)
    tl.store(pointer + L + query, p_edge, mask=here)
    tl.store(pointer + 2 * L + query, p_left, mask=here)
    tl.store(pointer + 3 * L + query, p_right, mask=here)


@triton.jit
def store_keys(dk_ptr, dv_ptr, zero_k_ptr, zero_v_ptr, start, token, stride, column, L, D: tl.constexpr, dk, dv):
    """The gradients of a block's keys; those of block 0 go to their own place."""
    if start == 0:
        store_rows(zero_k_ptr, token, D, column, token < L, D, dk)
        store_rows(zero_v_ptr, token, D, column, token < L, D, dv)
    else:
        store_rows(dk_ptr, token, stride, column, token < L, D, dk)
        store_rows(dv_ptr, token, stride, column, token < L, D, dv)


@triton.jit(do_not_specialize=SIZES)
def fused_backward_kernel(
    q_ptr, k_ptr, v_ptr, pack_k_ptr, pack_v_ptr, slopes_ptr, places_ptr, extent_ptr, words_ptr,
    log_sum_ptr, grad_ptr, delta_ptr, far_dq_ptr, sums_ptr, dq_ptr, dk_ptr, dv_ptr, dpack_k_ptr, dpack_v_ptr,
    dzero_k_ptr, dzero_v_ptr, dslopes_ptr, batch_stride, head_stride, row_stride,
    pack_batch_stride, pack_head_stride, pack_row_stride, place_stride, H, L, S, chunk, scale, keep_scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr, UNIT: tl.constexpr,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """A chunk of queries of a head, M = N = BLOCK. Grid (B · H · K,).

    far_dq <float32 or wider>[B, L, H, D] and sums <float32 or wider>[B · H, 4, L] are room of its own. Writes
    dpack_k and dpack_v [K, B · H, S, D]; dzero_k and dzero_v [K + 1, B · H, min(b, L), D], the last of them from the
    queries of block 0; and dslopes [B · H, K, 3]: all <float32 or wider>.
    """
    chunks = tl.cdiv(L, chunk)
    partial, row = tile_and_row(chunks)
    rows = tl.num_programs(0) // chunks
    batch, head = row // H, row % H
    number, column = tl.arange(0, BLOCK), tl.arange(0, WIDTH)
    alpha, beta, gamma, pack = slopes_of(slopes_ptr, head, H, BLOCK, WIDE)
    HAS_SLOPES: tl.constexpr = slopes_ptr is not None
    PADDED: tl.constexpr = extent_ptr is not None

    places = places_ptr + batch.to(tl.int64) * place_stride
    base = start_of(batch, head, batch_stride, head_stride, UNIT)
    pack_base = start_of(batch, head, pack_batch_stride, pack_head_stride, UNIT)
    stride, pack_stride, out_stride = row_stride * UNIT, pack_row_stride * UNIT, H * D
    out = start_of_result(batch, head, L, H, D)
    flat = row.to(tl.int64) * L
    q_ptr, k_ptr, v_ptr, grad_ptr = q_ptr + base, k_ptr + base, v_ptr + base, grad_ptr + out
    log_sum_ptr, delta_ptr = log_sum_ptr + flat, delta_ptr + flat
    if HAS_SLOPES:
        sums_ptr += 4 * flat
    if THRESHOLD > 0:
        words_ptr += flat

    # the chunk, and those of its blocks that are not padding alone
    live, end = extent_of(extent_ptr, batch, L)
    begin = partial * chunk
    stop = tl.minimum(begin + chunk, L)
    first, last = tl.maximum(begin, live // BLOCK * BLOCK), tl.minimum(stop, end)

    # sums of ds and of p over a row's keys wait in `sums`: all of ds; p on the edge of token 0; and p times distances
    # to the left and right, to which packed keys, as costly as half a block to either side, count as well
    half: tl.constexpr = 0.5 * BLOCK
    none = tl.zeros((BLOCK,), WIDE)
    d_alpha, d_beta, d_gamma = none, none, none

    k, v, position, cost = load_keys(k_ptr, v_ptr, places, number, stride, column, L, D, PADDED)
    is_zero = number == 0
    slope = tl.where(is_zero, 0.0, beta)
    cost += tl.where(is_zero, alpha, 0.0)
    dk, dv = tl.zeros((BLOCK, WIDTH), WIDE), tl.zeros((BLOCK, WIDTH), WIDE)
    for start in range(first, last, BLOCK):
        query = start + number
        q, grad, p_query, log_sum, delta, low, factor = load_queries(
            q_ptr, grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, query, stride, out_stride, column, L, D,
            PADDED, THRESHOLD,
        )  # fmt: skip
        r = p_query[:, None] - position[None, :]
        seen = cost + tl.where(start == 0, MASKED_COST, 0.0)  # block 0 itself is walked with the windows
        scores = side_scores(
            dot(q, tl.trans(k), OPERAND, PRECISION), r, seen[None, :], slope[None, :], scale, HAS_SLOPES
        )
        p, ds, to_q, to_k, to_v = tile_gradients(
            scores, q, grad, k, v, log_sum, delta, low, factor, S + number, keep_scale, THRESHOLD, OPERAND, PRECISION
        )
        dk += to_k
        dv += to_v
        store_rows(far_dq_ptr + out, query, out_stride, column, query < L, D, to_q)
        if HAS_SLOPES:
            away = tl.where(is_zero[None, :], 0.0, r)
            d_alpha -= tl.sum(tl.where(is_zero[None, :], ds, 0.0), axis=1)
            d_beta -= tl.sum(ds * away, axis=1)
            store_sums(
                sums_ptr, query, L, tl.sum(ds, axis=1), tl.sum(tl.where(is_zero[None, :], p, 0.0), axis=1),
                tl.sum(p * away, axis=1), none,
            )  # fmt: skip
    keys = tl.minimum(BLOCK, L)
    share = (partial * rows + row).to(tl.int64) * keys * D
    store_rows(dzero_k_ptr + share, number, D, column, number < keys, D, dk * scale)
    store_rows(dzero_v_ptr + share, number, D, column, number < keys, D, dv * keep_scale)

    for first_slot in tl.range(0, S, N, num_stages=1):
        tl.debug_barrier()  # what a walk wrote, the next one reads
        slot = first_slot + number
        k = load_rows(pack_k_ptr + pack_base, slot, pack_stride, column, slot < S, D)
        v = load_rows(pack_v_ptr + pack_base, slot, pack_stride, column, slot < S, D)
        cost = packed_cost(slot, S, pack)
        dk, dv = tl.zeros((BLOCK, WIDTH), WIDE), tl.zeros((BLOCK, WIDTH), WIDE)
        for start in range(first, last, BLOCK):
            query = start + number
            q, grad, p_query, log_sum, delta, low, factor = load_queries(
                q_ptr, grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, query, stride, out_stride, column, L, D,
                PADDED, THRESHOLD,
            )  # fmt: skip
            scores = packed_scores(dot(q, tl.trans(k), OPERAND, PRECISION), cost[None, :], scale)
            p, ds, to_q, to_k, to_v = tile_gradients(
                scores, q, grad, k, v, log_sum, delta, low, factor, slot, keep_scale, THRESHOLD, OPERAND, PRECISION
            )
            dk += to_k
            dv += to_v
            to_q += load_rows(far_dq_ptr + out, query, out_stride, column, query < L, D)
            store_rows(far_dq_ptr + out, query, out_stride, column, query < L, D, to_q)
            if HAS_SLOPES:
                packed, p_packed = tl.sum(ds, axis=1), half * tl.sum(p, axis=1)
                d_beta -= half * packed
                d_gamma -= half * packed
                excess, p_edge, p_left, p_right = load_sums(sums_ptr, query, L)
                store_sums(sums_ptr, query, L, excess + packed, p_edge, p_left + p_packed, p_right + p_packed)
        share = (partial * rows + row).to(tl.int64) * S * D
        store_rows(dpack_k_ptr + share, slot, D, column, slot < S, D, dk * scale)
        store_rows(dpack_v_ptr + share, slot, D, column, slot < S, D, dv * keep_scale)

    tl.debug_barrier()
    share = (chunks * rows + row).to(tl.int64) * keys * D
    dzero_k_ptr, dzero_v_ptr, dk_ptr, dv_ptr = dzero_k_ptr + share, dzero_v_ptr + share, dk_ptr + out, dv_ptr + out
    dq, dk, dv = tl.zeros((BLOCK, WIDTH), WIDE), tl.zeros((BLOCK, WIDTH), WIDE), tl.zeros((BLOCK, WIDTH), WIDE)
    excess, p_edge, p_left, p_right = none, none, none, none
    s_edge, s_left, s_right = none, none, none
    for start in tl.range(tl.maximum(begin - BLOCK, live // BLOCK * BLOCK), last, BLOCK):
        here, beyond = start + number, start + BLOCK + number
        q, grad, p_query, log_sum, delta, low, factor = load_queries(
            q_ptr, grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, here, stride, out_stride, column, L, D,
            PADDED, THRESHOLD,
        )  # fmt: skip
        k, v, position, cost = load_keys(k_ptr, v_ptr, places, here, stride, column, L, D, PADDED)

        # the block itself
        r = p_query[:, None] - position[None, :]
        is_edge = (here == 0)[:, None] != (here == 0)[None, :]
        scores = token_scores(
            dot(q, tl.trans(k), OPERAND, PRECISION), r, cost[None, :], is_edge, alpha, beta, gamma, scale, HAS_SLOPES
        )
        p, ds, to_q, to_k, to_v = tile_gradients(
            scores, q, grad, k, v, log_sum, delta, low, factor, S + here, keep_scale, THRESHOLD, OPERAND, PRECISION
        )
        dq += to_q
        dk += to_k
        dv += to_v
        if HAS_SLOPES:
            away = tl.where(is_edge, 0.0, r)
            before, after = tl.maximum(away, 0.0), tl.maximum(-away, 0.0)
            excess += tl.sum(ds, axis=1)
            s_edge += tl.sum(tl.where(is_edge, ds, 0.0), axis=1)
            s_left += tl.sum(ds * before, axis=1)
            s_right += tl.sum(ds * after, axis=1)
            p_edge += tl.sum(tl.where(is_edge, p, 0.0), axis=1)
            p_left += tl.sum(p * before, axis=1)
            p_right += tl.sum(p * after, axis=1)

        # the queries of the next one; none of block 1, which walked with the keys of block 0
        next_q, next_grad, p_next, next_log_sum, next_delta, next_low, next_factor = load_queries(
            q_ptr, grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, beyond, stride, out_stride, column, L, D,
            PADDED, THRESHOLD,
        )  # fmt: skip
        r = p_next[:, None] - position[None, :]
        seen = cost + tl.where(start == 0, MASKED_COST, 0.0)
        scores = side_scores(
            dot(next_q, tl.trans(k), OPERAND, PRECISION), r, seen[None, :], beta, scale, HAS_SLOPES
        )
        p, ds, next_dq, to_k, to_v = tile_gradients(
            scores, next_q, next_grad, k, v, next_log_sum, next_delta, next_low, next_factor, S + here, keep_scale,
            THRESHOLD, OPERAND, PRECISION,
        )  # fmt: skip
        dk += to_k
        dv += to_v
        next_excess, next_s, next_p = none, none, none
        if HAS_SLOPES:
            next_excess, next_s, next_p = tl.sum(ds, axis=1), tl.sum(ds * r, axis=1), tl.sum(p * r, axis=1)
        if start >= begin:
            store_keys(
                dk_ptr, dv_ptr, dzero_k_ptr, dzero_v_ptr, start, here, out_stride, column, L, D, dk * scale,
                dv * keep_scale,
            )  # fmt: skip

        # the keys of the next one, to which the first query of all has its own bias
        k, v, position, cost = load_keys(k_ptr, v_ptr, places, beyond, stride, column, L, D, PADDED)
        r = p_query[:, None] - position[None, :]
        is_first = here == 0
        slope = tl.where(is_first, 0.0, -gamma)
        scores = side_scores(
            dot(q, tl.trans(k), OPERAND, PRECISION), r, cost[None, :], slope[:, None], scale, HAS_SLOPES
        )
        log_sum += tl.where(is_first, alpha, 0.0)
        p, ds, to_q, dk, dv = tile_gradients(
            scores, q, grad, k, v, log_sum, delta, low, factor, S + beyond, keep_scale, THRESHOLD, OPERAND, PRECISION
        )
        dq += to_q
        if HAS_SLOPES:
            of_row = tl.sum(ds, axis=1)
            excess += of_row
            s_edge += tl.where(is_first, of_row, 0.0)
            p_edge += tl.where(is_first, tl.sum(p, axis=1), 0.0)
            s_right -= tl.where(is_first, 0.0, tl.sum(ds * r, axis=1))
            p_right -= tl.where(is_first, 0.0, tl.sum(p * r, axis=1))
        if start >= begin:
            dq += load_rows(far_dq_ptr + out, here, out_stride, column, here < L, D)
            store_rows(dq_ptr + out, here, out_stride, column, here < L, D, dq * scale)
            if HAS_SLOPES:
                # a row of ds sums to 0 but for the rounding of p in the result, and so in δ: distances of thousands
                # magnify it
                far_excess, far_edge, far_left, far_right = load_sums(sums_ptr, here, L)
                excess += far_excess
                d_alpha += excess * (p_edge + far_edge) - s_edge
                d_beta += excess * (p_left + far_left) - s_left
                d_gamma += excess * (p_right + far_right) - s_right
        dq, excess, s_left, p_left = next_dq, next_excess, next_s, next_p
        p_edge, p_right, s_edge, s_right = none, none, none, none

    if PADDED:
        nothing = tl.zeros((BLOCK, WIDTH), WIDE)
        for start in range(begin, stop, BLOCK):
            if (start < first) | (start >= last):
                here = start + number
                store_rows(dq_ptr + out, here, out_stride, column, here < L, D, nothing)
                store_keys(
                    dk_ptr, dv_ptr, dzero_k_ptr, dzero_v_ptr, start, here, out_stride, column, L, D, nothing, nothing
                )
    if HAS_SLOPES:
        place = dslopes_ptr + (row.to(tl.int64) * chunks + partial) * 3
        tl.store(place, tl.sum(d_alpha, axis=0))
        tl.store(place + 1, tl.sum(d_beta, axis=0))
        tl.store(place + 2, tl.sum(d_gamma, axis=0))
