"""The forward kernel of USWAttn: M queries a program, N keys at a time, the softmax online."""

from __future__ import annotations

import triton
import triton.language as tl

from fairseq_littlebird.attention.littlebird.kernels.common import (
    ABSENT,
    FLOOR,
    NOWHERE,
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
from fairseq_littlebird.attention.littlebird.kernels.dropout import is_kept, row_words
from fairseq_littlebird.attention.littlebird.kernels.scores import (
    packed_scores,
    side_scores,
    token_scores,
    zero_scores,
)


@triton.jit
def softmax_step(
    scores, v, maximum, total, acc, low, factor, slot,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Online softmax: takes N more keys into a row's maximum, its sum of weights and its weighted values."""
    new = tl.maximum(maximum, tl.max(scores, axis=1))
    shrink = tl.exp2(maximum - new)
    p = tl.exp2(scores - new[:, None])
    total = total * shrink + tl.sum(p, axis=1)
    if THRESHOLD > 0:
        p = tl.where(is_kept(low[:, None], factor[:, None], slot[None, :], THRESHOLD), p, 0.0)
    acc = acc * shrink[:, None] + dot(p.to(v.dtype), v, OPERAND, PRECISION)
    return new, total, acc


@triton.jit(do_not_specialize=SIZES)
def forward_kernel(
    q_ptr, k_ptr, v_ptr, pack_k_ptr, pack_v_ptr, slopes_ptr, places_ptr, extent_ptr, words_ptr,
    result_ptr, rest_ptr, log_sum_ptr, batch_stride, head_stride, row_stride,
    pack_batch_stride, pack_head_stride, pack_row_stride, place_stride, H, L, S, scale, keep_scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr, UNIT: tl.constexpr,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """M queries of a head: their result, what its rounding left out (where ``rest`` is given), and log-sums.

    Grid (B · H · Z,).
    """
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
    q = load_rows(q_ptr + base, query, stride, column, query < L, D)
    p_query, _ = places_of(places, query, L)
    low, factor = query, query
    if THRESHOLD > 0:
        low, factor = row_words(words_ptr + row.to(tl.int64) * L, query, L)
    maximum, total = tl.full((M,), FLOOR, WIDE), tl.zeros((M,), WIDE)
    acc = tl.zeros((M, WIDTH), WIDE)

    for start in range(0, packed_end, N):
        slot = start + tl.arange(0, N)
        k = load_rows(pack_k_ptr + pack_base, slot, pack_stride, column, slot < S, D)
        v = load_rows(pack_v_ptr + pack_base, slot, pack_stride, column, slot < S, D)
        products = dot(q, tl.trans(k), OPERAND, PRECISION)
        scores = packed_scores(products, packed_cost(slot, S, pack)[None, :], scale)
        maximum, total, acc = softmax_step(
            scores, v, maximum, total, acc, low, factor, slot, THRESHOLD, OPERAND, PRECISION
        )

    for start in range(0, zero_end, N):
        token = start + tl.arange(0, N)
        position, cost = places_of(places, token, L)
        inside = is_token(token, position, L, PADDED)
        k = load_rows(k_ptr + base, token, stride, column, inside, D)
        v = load_rows(v_ptr + base, token, stride, column, inside, D)
        products = dot(q, tl.trans(k), OPERAND, PRECISION)
        r = p_query[:, None] - position[None, :]
        scores = zero_scores(products, r, cost[None, :], (token == 0)[None, :], alpha, beta, scale, HAS_SLOPES)
        maximum, total, acc = softmax_step(
            scores, v, maximum, total, acc, low, factor, S + token, THRESHOLD, OPERAND, PRECISION
        )

    for place in range(beside, beside_end, N):
        start = tl.where(place < own, place, place + BLOCK)
        token = start + tl.arange(0, N)
        position, cost = places_of(places, token, L)
        inside = is_token(token, position, L, PADDED)
        k = load_rows(k_ptr + base, token, stride, column, inside, D)
        v = load_rows(v_ptr + base, token, stride, column, inside, D)
        products = dot(q, tl.trans(k), OPERAND, PRECISION)
        r = p_query[:, None] - position[None, :]
        slope = tl.where(place < own, beta, -gamma)
        scores = side_scores(products, r, cost[None, :], slope, scale, HAS_SLOPES)
        maximum, total, acc = softmax_step(
            scores, v, maximum, total, acc, low, factor, S + token, THRESHOLD, OPERAND, PRECISION
        )

    for start in range(own, own_end, N):
        token = start + tl.arange(0, N)
        position, cost = places_of(places, token, L)
        inside = is_token(token, position, L, PADDED)
        k = load_rows(k_ptr + base, token, stride, column, inside, D)
        v = load_rows(v_ptr + base, token, stride, column, inside, D)
        products = dot(q, tl.trans(k), OPERAND, PRECISION)
        r = p_query[:, None] - position[None, :]
        is_edge = (query == 0)[:, None] != (token == 0)[None, :]
        scores = token_scores(products, r, cost[None, :], is_edge, alpha, beta, gamma, scale, HAS_SLOPES)
        maximum, total, acc = softmax_step(
            scores, v, maximum, total, acc, low, factor, S + token, THRESHOLD, OPERAND, PRECISION
        )

    is_row = (total > 0) & (p_query < NOWHERE)
    total = tl.where(is_row, total, 1.0)
    acc = tl.where(is_row[:, None], acc * (keep_scale / total)[:, None], 0.0)
    out = start_of_result(batch, head, L, H, D)
    store_rows(result_ptr + out, query, H * D, column, query < L, D, acc)
    if rest_ptr is not None:
        rest = acc - acc.to(result_ptr.dtype.element_ty).to(WIDE)
        store_rows(rest_ptr + out, query, H * D, column, query < L, D, rest)
    log_sum = tl.where(is_row, maximum + tl.log2(total), ABSENT)
    tl.store(log_sum_ptr + row.to(tl.int64) * L + query, log_sum, mask=query < L)
