"""The backward kernel of queries: dq, δ = dO · O for the keys' kernel, and a share of the slopes' gradients."""

from __future__ import annotations

import triton
import triton.language as tl

from fairseq_littlebird.attention.littlebird.kernels.common import (
    ABSENT,
    SIZES,
    dot,
    is_token,
    load_rows,
    packed_cost,
    places_of,
    slopes_of,
    start_of,
    start_of_result,
    store_rows,
    tile_and_row,
    window_of,
)
from fairseq_littlebird.attention.littlebird.kernels.dropout import row_words
from fairseq_littlebird.attention.littlebird.kernels.scores import (
    packed_scores,
    side_scores,
    token_scores,
    zero_scores,
)
from fairseq_littlebird.attention.littlebird.kernels.tile_gradient import gradient_of_scores


@triton.jit(do_not_specialize=SIZES)
def queries_backward_kernel(
    q_ptr, k_ptr, v_ptr, pack_k_ptr, pack_v_ptr, slopes_ptr, places_ptr, extent_ptr, words_ptr,
    result_ptr, rest_ptr, log_sum_ptr, grad_ptr, delta_ptr, dq_ptr, dslopes_ptr, batch_stride, head_stride, row_stride,
    pack_batch_stride, pack_head_stride, pack_row_stride, place_stride, H, L, S, scale, keep_scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr, UNIT: tl.constexpr,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """M queries of a head. Writes dslopes <float>[B · H, Z, 3]. Grid (B · H · Z,)."""
    tile, row = tile_and_row(tl.cdiv(L, M))
    batch, head = row // H, row % H
    begin = tile * M
    query, column = begin + tl.arange(0, M), tl.arange(0, WIDTH)
    alpha, beta, gamma, pack = slopes_of(slopes_ptr, head, H, BLOCK, WIDE)
    packed_end, zero_end, beside, beside_end, own, own_end = window_of(extent_ptr, batch, begin, L, S, BLOCK, M)
    HAS_SLOPES: tl.constexpr = slopes_ptr is not None
    PADDED: tl.constexpr = extent_ptr is not None

    places = places_ptr + batch.to(tl.int64) * place_stride
    base = start_of(batch, head, batch_stride, head_stride, UNIT)
    pack_base = start_of(batch, head, pack_batch_stride, pack_head_stride, UNIT)
    stride, pack_stride = row_stride * UNIT, pack_row_stride * UNIT
    out = start_of_result(batch, head, L, H, D)
    flat = row.to(tl.int64) * L
    p_query, _ = places_of(places, query, L)
    asking = is_token(query, p_query, L, PADDED)
    q = load_rows(q_ptr + base, query, stride, column, asking, D)
    grad = load_rows(grad_ptr + out, query, H * D, column, asking, D)
    result = load_rows(result_ptr + out, query, H * D, column, query < L, D).to(WIDE)
    if rest_ptr is not None:
        # δ from the rounded result alone would drown the gradients of saturated rows
        result += load_rows(rest_ptr + out, query, H * D, column, query < L, D).to(WIDE)
    delta = tl.sum(grad.to(WIDE) * result, axis=1)
    log_sum = tl.load(log_sum_ptr + flat + query, mask=query < L, other=ABSENT)
    low, factor = query, query
    if THRESHOLD > 0:
        low, factor = row_words(words_ptr + flat, query, L)
    dq = tl.zeros((M, WIDTH), WIDE)
    # sums of ds and of p over a row's keys: packed, on the edge of token 0, and times distances to the left and right
    zero = tl.zeros((M,), WIDE)
    packed, edge, left, right = zero, zero, zero, zero
    p_packed, p_edge, p_left, p_right = zero, zero, zero, zero
    excess = zero

    for start in range(0, packed_end, N):
        slot = start + tl.arange(0, N)
        k = load_rows(pack_k_ptr + pack_base, slot, pack_stride, column, slot < S, D)
        v = load_rows(pack_v_ptr + pack_base, slot, pack_stride, column, slot < S, D)
        scores = packed_scores(dot(q, tl.trans(k), OPERAND, PRECISION), packed_cost(slot, S, pack)[None, :], scale)
        dp = dot(grad, tl.trans(v), OPERAND, PRECISION)
        p, dropped, ds = gradient_of_scores(
            scores, log_sum[:, None], dp, delta[:, None], low[:, None], factor[:, None], slot[None, :], keep_scale,
            THRESHOLD,
        )  # fmt: skip
        dq += dot(ds.to(k.dtype), k, OPERAND, PRECISION)
        if HAS_SLOPES:
            packed += tl.sum(ds, axis=1)
            p_packed += tl.sum(p, axis=1)

    for start in range(0, zero_end, N):
        token = start + tl.arange(0, N)
        position, cost = places_of(places, token, L)
        inside = is_token(token, position, L, PADDED)
        k = load_rows(k_ptr + base, token, stride, column, inside, D)
        v = load_rows(v_ptr + base, token, stride, column, inside, D)
        r = p_query[:, None] - position[None, :]
        is_zero = (token == 0)[None, :]
        scores = zero_scores(
            dot(q, tl.trans(k), OPERAND, PRECISION), r, cost[None, :], is_zero, alpha, beta, scale, HAS_SLOPES
        )
        dp = dot(grad, tl.trans(v), OPERAND, PRECISION)
        p, dropped, ds = gradient_of_scores(
            scores, log_sum[:, None], dp, delta[:, None], low[:, None], factor[:, None], (S + token)[None, :],
            keep_scale, THRESHOLD,
        )  # fmt: skip
        dq += dot(ds.to(k.dtype), k, OPERAND, PRECISION)
        if HAS_SLOPES:
            away = tl.where(is_zero, 0.0, r)
            excess += tl.sum(ds, axis=1)
            edge += tl.sum(tl.where(is_zero, ds, 0.0), axis=1)
            p_edge += tl.sum(tl.where(is_zero, p, 0.0), axis=1)
            left += tl.sum(ds * away, axis=1)
            p_left += tl.sum(p * away, axis=1)

    for place in range(beside, beside_end, N):
        token = tl.where(place < own, place, place + BLOCK) + tl.arange(0, N)
        position, cost = places_of(places, token, L)
        inside = is_token(token, position, L, PADDED)
        k = load_rows(k_ptr + base, token, stride, column, inside, D)
        v = load_rows(v_ptr + base, token, stride, column, inside, D)
        r = p_query[:, None] - position[None, :]
        slope = tl.where(place < own, beta, -gamma)
        scores = side_scores(dot(q, tl.trans(k), OPERAND, PRECISION), r, cost[None, :], slope, scale, HAS_SLOPES)
        dp = dot(grad, tl.trans(v), OPERAND, PRECISION)
        p, dropped, ds = gradient_of_scores(
            scores, log_sum[:, None], dp, delta[:, None], low[:, None], factor[:, None], (S + token)[None, :],
            keep_scale, THRESHOLD,
        )  # fmt: skip
        dq += dot(ds.to(k.dtype), k, OPERAND, PRECISION)
        if HAS_SLOPES:
            excess += tl.sum(ds, axis=1)
            side, p_side = tl.sum(ds * r, axis=1), tl.sum(p * r, axis=1)
            left += tl.where(place < own, side, 0.0)
            p_left += tl.where(place < own, p_side, 0.0)
            right -= tl.where(place < own, 0.0, side)
            p_right -= tl.where(place < own, 0.0, p_side)

    for start in range(own, own_end, N):
        token = start + tl.arange(0, N)
        position, cost = places_of(places, token, L)
        inside = is_token(token, position, L, PADDED)
        k = load_rows(k_ptr + base, token, stride, column, inside, D)
        v = load_rows(v_ptr + base, token, stride, column, inside, D)
        r = p_query[:, None] - position[None, :]
        is_edge = (query == 0)[:, None] != (token == 0)[None, :]
        scores = token_scores(
            dot(q, tl.trans(k), OPERAND, PRECISION), r, cost[None, :], is_edge, alpha, beta, gamma, scale, HAS_SLOPES
        )
        dp = dot(grad, tl.trans(v), OPERAND, PRECISION)
        p, dropped, ds = gradient_of_scores(
            scores, log_sum[:, None], dp, delta[:, None], low[:, None], factor[:, None], (S + token)[None, :],
            keep_scale, THRESHOLD,
        )  # fmt: skip
        dq += dot(ds.to(k.dtype), k, OPERAND, PRECISION)
        if HAS_SLOPES:
            away = tl.where(is_edge, 0.0, r)
            before, after = tl.maximum(away, 0.0), tl.maximum(-away, 0.0)
            excess += tl.sum(ds, axis=1)
            edge += tl.sum(tl.where(is_edge, ds, 0.0), axis=1)
            p_edge += tl.sum(tl.where(is_edge, p, 0.0), axis=1)
            left += tl.sum(ds * before, axis=1)
            p_left += tl.sum(p * before, axis=1)
            right += tl.sum(ds * after, axis=1)
            p_right += tl.sum(p * after, axis=1)

    # a row of ds sums to 0 but for the rounding of p in the result, and so in δ: distances of thousands magnify it
    excess += packed
    tl.store(delta_ptr + flat + query, delta + excess, mask=query < L)
    store_rows(dq_ptr + out, query, H * D, column, query < L, D, dq * scale)
    if HAS_SLOPES:
        half: tl.constexpr = 0.5 * BLOCK
        place = dslopes_ptr + (row.to(tl.int64) * tl.cdiv(L, M) + tile) * 3
        packed = half * (packed - excess * p_packed)
        tl.store(place, tl.sum(excess * p_edge - edge, axis=0))
        tl.store(place + 1, tl.sum(excess * p_left - left - packed, axis=0))
        tl.store(place + 2, tl.sum(excess * p_right - right - packed, axis=0))
