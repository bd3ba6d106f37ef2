"""The backward kernel that makes every tile's scores once: five products of their size where two kernels make seven.

A program walks a chunk of queries once for each tile of keys: of block 0, packed, and past block 0 those of the window.
A walk holds dk and dv in registers and adds to dq, which waits in float32, and to sums of each query, which wait as
well; no other program reads or writes either. Of far keys a program stores its chunk's share. The window's keys are
whole: the program of the chunk that they lie in also walks the block before and the block after it, and to their
queries adds nothing.

Legend and tensors as in this package. K chunks.
"""

from __future__ import annotations

import triton
import triton.language as tl

from fairseq_littlebird.attention.littlebird.kernels.common import (
    ABSENT,
    SIZES,
    dot,
    extent_of,
    is_token,
    load_rows,
    packed_cost,
    places_of,
    slopes_of,
    start_of,
    start_of_result,
    store_rows,
    tile_and_row,
)
from fairseq_littlebird.attention.littlebird.kernels.dropout import row_words
from fairseq_littlebird.attention.littlebird.kernels.scores import (
    packed_scores,
    side_scores,
    token_scores,
    zero_scores,
)
from fairseq_littlebird.attention.littlebird.kernels.tile_gradient import gradient_of_scores

# what the keys of a walk are to its queries
PACKED = tl.constexpr(0)
FIRST = tl.constexpr(1)  # block 0, of queries of block 0
ZERO = tl.constexpr(2)  # block 0, of others
SIDE = tl.constexpr(3)  # the block to the left or right
OWN = tl.constexpr(4)  # their own block


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
    position, _ = places_of(places, query, L)
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
def tile_gradients(
    scores, grad, v, log_sum, delta, low, factor, slot, keep_scale,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """p, p after dropout as narrow as the operands, and the scores' gradient."""
    dp = dot(grad, tl.trans(v), OPERAND, PRECISION)
    p, dropped, ds = gradient_of_scores(
        scores, log_sum[:, None], dp, delta[:, None], low[:, None], factor[:, None], slot[None, :], keep_scale,
        THRESHOLD,
    )  # fmt: skip
    return p, dropped.to(grad.dtype), ds


@triton.jit
def load_sums(pointer, query, L, inside):
    """Each query's sums over keys: of ds; of p on the edge of token 0; of p times distances to the left, and right."""
    excess = tl.load(pointer + query, mask=inside, other=0.0)
    p_edge = tl.load(pointer + L + query, mask=inside, other=0.0)
    p_left = tl.load(pointer + 2 * L + query, mask=inside, other=0.0)
    return excess, p_edge, p_left, tl.load(pointer + 3 * L + query, mask=inside, other=0.0)


@triton.jit
def store_sums(pointer, query, L, inside, excess, p_edge, p_left, p_right):
    tl.store(pointer + query, excess, mask=inside)
    tl.store(pointer + L + query, p_edge, mask=inside)
    tl.store(pointer + 2 * L + query, p_left, mask=inside)
    tl.store(pointer + 3 * L + query, p_right, mask=inside)


@triton.jit
def without_own(token, own, BLOCK: tl.constexpr):
    """Where a token comes if the block at ``own`` does not count."""
    return tl.where(token >= own + BLOCK, token - BLOCK, tl.minimum(token, own))


@triton.jit
def walk(
    k, v, token, position, cost, slot, first, last, own, begin, stop, fresh, dk, dv, d_alpha, d_beta, d_gamma,
    q_ptr, grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, wide_dq_ptr, sums_ptr, stride, out_stride, column, L,
    alpha, beta, gamma, scale, keep_scale,
    KEYS: tl.constexpr, HAS_SLOPES: tl.constexpr, PADDED: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr,
    M: tl.constexpr, THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """N keys, with the queries from ``first`` up to ``last``; beside the block at ``own``, which does not count.

    Adds to dk and dv, short of their scales; to dq and the sums of those queries from ``begin`` up to ``stop``, or
    begins them before ``fresh``; and to the slopes' gradients.
    """
    half: tl.constexpr = 0.5 * BLOCK
    for place in range(first, last, M):
        start = place
        if KEYS == SIDE:
            start = tl.where(place < own, place, place + BLOCK)
        query = start + tl.arange(0, M)
        q, grad, p_query, log_sum, delta, low, factor = load_queries(
            q_ptr, grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, query, stride, out_stride, column, L, D,
            PADDED, THRESHOLD,
        )  # fmt: skip
        is_own = (query >= begin) & (query < stop)
        is_begun = is_own & (query >= fresh)
        products = dot(q, tl.trans(k), OPERAND, PRECISION)
        r = p_query[:, None] - position[None, :]
        is_first, is_zero, is_left = query == 0, (token == 0)[None, :], query >= own + BLOCK
        is_edge = is_zero
        if KEYS == PACKED:
            scores = packed_scores(products, cost[None, :], scale)
        elif KEYS == FIRST:
            is_edge = is_first[:, None] != is_zero
            scores = token_scores(products, r, cost[None, :], is_edge, alpha, beta, gamma, scale, HAS_SLOPES)
        elif KEYS == ZERO:
            scores = zero_scores(products, r, cost[None, :], is_zero, alpha, beta, scale, HAS_SLOPES)
        elif KEYS == OWN:
            slope = tl.where(r > 0, beta, -gamma)
            scores = side_scores(products, r, cost[None, :], slope, scale, HAS_SLOPES)
        else:
            # between the first query of all and the next block is α alone
            slope = tl.where(is_left, beta, tl.where(is_first, 0.0, -gamma))
            scores = side_scores(products, r, cost[None, :], slope[:, None], scale, HAS_SLOPES)
            log_sum += tl.where(is_first, alpha, 0.0)
        p, dropped, ds = tile_gradients(
            scores, grad, v, log_sum, delta, low, factor, slot, keep_scale, THRESHOLD, OPERAND, PRECISION
        )
        if HAS_SLOPES:
            excess, p_edge, p_left, p_right = load_sums(sums_ptr, query, L, is_begun)
            of_row = tl.sum(ds, axis=1)
            s_edge, s_left, s_right = tl.zeros((M,), WIDE), tl.zeros((M,), WIDE), tl.zeros((M,), WIDE)
            if KEYS == PACKED:  # as far as half a block to either side
                p_of_row = half * tl.sum(p, axis=1)
                s_left, s_right = half * of_row, half * of_row
                p_left += p_of_row
                p_right += p_of_row
            elif KEYS == SIDE:
                s_side, p_side = tl.sum(ds * r, axis=1), tl.sum(p * r, axis=1)
                s_left, s_right = tl.where(is_left, s_side, 0.0), tl.where(is_left | is_first, 0.0, -s_side)
                p_left += tl.where(is_left, p_side, 0.0)
                p_right -= tl.where(is_left | is_first, 0.0, p_side)
                if start == 0:
                    s_edge = tl.where(is_first, of_row, 0.0)
                    p_edge += tl.where(is_first, tl.sum(p, axis=1), 0.0)
            else:
                if KEYS == FIRST or KEYS == ZERO:  # noqa: SIM109
                    s_edge = tl.sum(tl.where(is_edge, ds, 0.0), axis=1)
                    p_edge += tl.sum(tl.where(is_edge, p, 0.0), axis=1)
                    r = tl.where(is_edge, 0.0, r)
                left = r if KEYS == ZERO else tl.maximum(r, 0.0)
                s_left, p_before = tl.sum(ds * left, axis=1), tl.sum(p * left, axis=1)
                p_left += p_before
                if KEYS != ZERO:
                    s_right, p_right = s_left - tl.sum(ds * r, axis=1), p_right + p_before - tl.sum(p * r, axis=1)
            d_alpha -= tl.where(is_own, s_edge, 0.0)
            d_beta -= tl.where(is_own, s_left, 0.0)
            d_gamma -= tl.where(is_own, s_right, 0.0)
            store_sums(sums_ptr, query, L, is_own, excess + of_row, p_edge, p_left, p_right)
        ds = ds.to(q.dtype)
        dv += dot(tl.trans(dropped), grad, OPERAND, PRECISION)
        dk += dot(tl.trans(ds), q, OPERAND, PRECISION)
        dq = dot(ds, k, OPERAND, PRECISION)
        dq += load_rows(wide_dq_ptr, query, out_stride, column, is_begun, D)
        store_rows(wide_dq_ptr, query, out_stride, column, is_own, D, dq)
    return dk, dv, d_alpha, d_beta, d_gamma


@triton.jit(do_not_specialize=SIZES)
def fused_backward_kernel(
    q_ptr, k_ptr, v_ptr, pack_k_ptr, pack_v_ptr, slopes_ptr, places_ptr, extent_ptr, words_ptr,
    log_sum_ptr, grad_ptr, delta_ptr, wide_dq_ptr, sums_ptr, dq_ptr, dk_ptr, dv_ptr, dpack_k_ptr, dpack_v_ptr,
    dzero_k_ptr, dzero_v_ptr, dslopes_ptr, batch_stride, head_stride, row_stride,
    pack_batch_stride, pack_head_stride, pack_row_stride, place_stride, H, L, S, chunk, scale, keep_scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr, UNIT: tl.constexpr,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """A chunk of queries of a head. Grid (B · H · K,).

    wide_dq <float32 or wider>[B, L, H, D] and sums <float32 or wider>[B · H, 4, L] are room to work in. Writes
    dpack_k and dpack_v [K, B · H, S, D], dzero_k and dzero_v [K, B · H, min(b, L), D], dslopes [B · H, K, 3]: all
    <float32 or wider>.
    """
    chunks = tl.cdiv(L, chunk)
    partial, row = tile_and_row(chunks)
    rows = tl.num_programs(0) // chunks
    batch, head = row // H, row % H
    number, column = tl.arange(0, N), tl.arange(0, WIDTH)
    alpha, beta, gamma, pack = slopes_of(slopes_ptr, head, H, BLOCK, WIDE)
    HAS_SLOPES: tl.constexpr = slopes_ptr is not None
    PADDED: tl.constexpr = extent_ptr is not None

    places = places_ptr + batch.to(tl.int64) * place_stride
    base = start_of(batch, head, batch_stride, head_stride, UNIT)
    pack_base = start_of(batch, head, pack_batch_stride, pack_head_stride, UNIT)
    stride, pack_stride, out_stride = row_stride * UNIT, pack_row_stride * UNIT, H * D
    out = start_of_result(batch, head, L, H, D)
    flat = row.to(tl.int64) * L
    q_ptr, k_ptr, v_ptr, grad_ptr, wide_dq_ptr = (
        q_ptr + base,
        k_ptr + base,
        v_ptr + base,
        grad_ptr + out,
        wide_dq_ptr + out,
    )
    log_sum_ptr, delta_ptr = log_sum_ptr + flat, delta_ptr + flat
    if HAS_SLOPES:
        sums_ptr += 4 * flat
    if THRESHOLD > 0:
        words_ptr += flat

    # the chunk, and what of it is not padding alone
    live, end = extent_of(extent_ptr, batch, L)
    begin = partial * chunk
    stop = tl.minimum(begin + chunk, L)
    first, last = tl.maximum(begin, live // M * M), tl.minimum(stop, end)
    d_alpha, d_beta, d_gamma = tl.zeros((M,), WIDE), tl.zeros((M,), WIDE), tl.zeros((M,), WIDE)

    keys = tl.minimum(BLOCK, L)
    share = (partial * rows + row).to(tl.int64) * keys * D
    for at in tl.range(0, keys, N, num_stages=1):
        tl.debug_barrier()  # what a walk stored, the next one loads
        token = at + number
        position, cost = places_of(places, token, L)
        inside = is_token(token, position, L, PADDED)
        k = load_rows(k_ptr, token, stride, column, inside, D)
        v = load_rows(v_ptr, token, stride, column, inside, D)
        fresh = tl.where(at == 0, last, 0)  # of the first walk
        dk, dv = tl.zeros((N, WIDTH), WIDE), tl.zeros((N, WIDTH), WIDE)
        dk, dv, d_alpha, d_beta, d_gamma = walk(
            k, v, token, position, cost, S + token, first, tl.minimum(last, BLOCK), 0,
            begin, stop, fresh, dk, dv, d_alpha, d_beta, d_gamma, q_ptr, grad_ptr,
            places, log_sum_ptr, delta_ptr, words_ptr, wide_dq_ptr, sums_ptr, stride, out_stride, column, L,
            alpha, beta, gamma, scale, keep_scale, FIRST, HAS_SLOPES, PADDED, D, BLOCK, M, THRESHOLD, OPERAND,
            PRECISION, WIDE,
        )  # fmt: skip
        dk, dv, d_alpha, d_beta, d_gamma = walk(
            k, v, token, position, cost, S + token, tl.maximum(first, BLOCK), last, 0,
            begin, stop, fresh, dk, dv, d_alpha, d_beta, d_gamma, q_ptr,
            grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, wide_dq_ptr, sums_ptr, stride, out_stride, column, L,
            alpha, beta, gamma, scale, keep_scale, ZERO, HAS_SLOPES, PADDED, D, BLOCK, M, THRESHOLD, OPERAND,
            PRECISION, WIDE,
        )  # fmt: skip
        store_rows(dzero_k_ptr + share, token, D, column, token < keys, D, dk * scale)
        store_rows(dzero_v_ptr + share, token, D, column, token < keys, D, dv * keep_scale)

    share = (partial * rows + row).to(tl.int64) * S * D
    for at in tl.range(0, S, N, num_stages=1):
        tl.debug_barrier()
        slot = at + number
        k = load_rows(pack_k_ptr + pack_base, slot, pack_stride, column, slot < S, D)
        v = load_rows(pack_v_ptr + pack_base, slot, pack_stride, column, slot < S, D)
        cost = packed_cost(slot, S, pack)
        position = cost
        dk, dv = tl.zeros((N, WIDTH), WIDE), tl.zeros((N, WIDTH), WIDE)
        dk, dv, d_alpha, d_beta, d_gamma = walk(
            k, v, slot, position, cost, slot, first, last, 0,
            begin, stop, 0, dk, dv, d_alpha, d_beta, d_gamma, q_ptr,
            grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, wide_dq_ptr, sums_ptr, stride, out_stride, column, L,
            alpha, beta, gamma, scale, keep_scale, PACKED, HAS_SLOPES, PADDED, D, BLOCK, M, THRESHOLD, OPERAND,
            PRECISION, WIDE,
        )  # fmt: skip
        store_rows(dpack_k_ptr + share, slot, D, column, slot < S, D, dk * scale)
        store_rows(dpack_v_ptr + share, slot, D, column, slot < S, D, dv * keep_scale)

    for at in tl.range(tl.maximum(begin - BLOCK, BLOCK), tl.minimum(stop + BLOCK, L), N, num_stages=1):
        tl.debug_barrier()
        token, own = at + number, at // BLOCK * BLOCK
        position, cost = places_of(places, token, L)
        inside = is_token(token, position, L, PADDED)
        k = load_rows(k_ptr, token, stride, column, inside, D)
        v = load_rows(v_ptr, token, stride, column, inside, D)
        # the queries of three blocks if these keys are the program's own, otherwise its own queries among them
        is_own = (at >= begin) & (at < stop)
        since = tl.maximum(tl.maximum(own - BLOCK, tl.where(is_own, 0, begin)), live // M * M)
        until = tl.minimum(own + 2 * BLOCK, tl.where(is_own, end, last))
        until = tl.where((at < end) & (at + N > live), until, since)
        dk, dv = tl.zeros((N, WIDTH), WIDE), tl.zeros((N, WIDTH), WIDE)
        dk, dv, d_alpha, d_beta, d_gamma = walk(
            k, v, token, position, cost, S + token, tl.maximum(since, own), tl.minimum(until, own + BLOCK), own,
            begin, stop, 0, dk, dv, d_alpha, d_beta, d_gamma, q_ptr,
            grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, wide_dq_ptr, sums_ptr, stride, out_stride, column, L,
            alpha, beta, gamma, scale, keep_scale, OWN, HAS_SLOPES, PADDED, D, BLOCK, M, THRESHOLD, OPERAND,
            PRECISION, WIDE,
        )  # fmt: skip
        tl.debug_barrier()
        dk, dv, d_alpha, d_beta, d_gamma = walk(
            k, v, token, position, cost, S + token, without_own(since, own, BLOCK), without_own(until, own, BLOCK), own,
            begin, stop, 0, dk, dv, d_alpha, d_beta, d_gamma, q_ptr,
            grad_ptr, places, log_sum_ptr, delta_ptr, words_ptr, wide_dq_ptr, sums_ptr, stride, out_stride, column, L,
            alpha, beta, gamma, scale, keep_scale, SIDE, HAS_SLOPES, PADDED, D, BLOCK, M, THRESHOLD, OPERAND,
            PRECISION, WIDE,
        )  # fmt: skip
        if is_own:
            store_rows(dk_ptr + out, token, out_stride, column, token < L, D, dk * scale)
            store_rows(dv_ptr + out, token, out_stride, column, token < L, D, dv * keep_scale)

    tl.debug_barrier()
    for start in tl.range(begin, stop, M, num_stages=1):
        query = start + tl.arange(0, M)
        is_begun = (query >= first) & (query < last)
        dq = load_rows(wide_dq_ptr, query, out_stride, column, is_begun, D)
        store_rows(dq_ptr + out, query, out_stride, column, query < L, D, dq * scale)
        if HAS_SLOPES:
            # a row of ds sums to 0 but for the rounding of p in the result, and so in δ: distances of thousands
            # magnify it
            excess, p_edge, p_left, p_right = load_sums(sums_ptr, query, L, is_begun)
            d_alpha += excess * p_edge
            d_beta += excess * p_left
            d_gamma += excess * p_right
    if HAS_SLOPES:
        place = dslopes_ptr + (row.to(tl.int64) * chunks + partial) * 3
        tl.store(place, tl.sum(d_alpha, axis=0))
        tl.store(place + 1, tl.sum(d_beta, axis=0))
        tl.store(place + 2, tl.sum(d_gamma, axis=0))
