"""The backward kernel of keys: packed ones, those of block 0, or those past it."""

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
from fairseq_littlebird.attention.littlebird.kernels.scores import packed_scores, token_scores
from fairseq_littlebird.attention.littlebird.kernels.tile_gradient import gradient_of_scores

PACKED = tl.constexpr(0)
ZERO = tl.constexpr(1)  # of block 0
WINDOW = tl.constexpr(2)  # past block 0


@triton.jit(do_not_specialize=SIZES)
def keys_backward_kernel(
    q_ptr, k_ptr, v_ptr, slopes_ptr, places_ptr, extent_ptr, words_ptr, log_sum_ptr, grad_ptr, delta_ptr,
    dk_ptr, dv_ptr, batch_stride, head_stride, row_stride, pack_batch_stride, pack_head_stride, pack_row_stride,
    place_stride, H, L, S, chunk, scale, keep_scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr, UNIT: tl.constexpr,
    KEYS: tl.constexpr, THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """N keys of a head; everything transposed, [keys, queries].

    PACKED and ZERO, from one chunk of queries: dk, dv <float>[chunks, B · H, S or b, D]. Grid (chunks · B · H ·
    tiles,). WINDOW, from the queries of their own block and its neighbours: dk, dv as results. Grid (B · H · tiles,).
    """
    if KEYS == PACKED:
        keys = S
    elif KEYS == ZERO:
        keys = tl.minimum(BLOCK, L)
    else:
        keys = L - BLOCK
    tiles = tl.cdiv(keys, N)
    chunks = tl.cdiv(L, chunk)
    tile, row = tile_and_row(tiles)
    partial = 0
    rows = tl.num_programs(0) // tiles
    if KEYS != WINDOW:
        rows = rows // chunks
        partial, row = row // rows, row % rows
    batch, head = row // H, row % H
    number, column = tile * N + tl.arange(0, N), tl.arange(0, WIDTH)
    alpha, beta, gamma, pack = slopes_of(slopes_ptr, head, H, BLOCK, WIDE)
    live, end = extent_of(extent_ptr, batch, L)
    HAS_SLOPES: tl.constexpr = slopes_ptr is not None
    PADDED: tl.constexpr = extent_ptr is not None

    places = places_ptr + batch.to(tl.int64) * place_stride
    base = start_of(batch, head, batch_stride, head_stride, UNIT)
    stride = row_stride * UNIT
    token = number
    position = tl.zeros((N,), WIDE)
    if KEYS == PACKED:
        slot, inside = number, number < S
        cost = packed_cost(slot, S, pack)
        pack_base = start_of(batch, head, pack_batch_stride, pack_head_stride, UNIT)
        k = load_rows(k_ptr + pack_base, slot, pack_row_stride * UNIT, column, inside, D)
        v = load_rows(v_ptr + pack_base, slot, pack_row_stride * UNIT, column, inside, D)
    else:
        if KEYS == WINDOW:
            token = BLOCK + number
        slot = S + token
        position, cost = places_of(places, token, L)
        inside = is_token(token, position, L, PADDED)
        k = load_rows(k_ptr + base, token, stride, column, inside, D)
        v = load_rows(v_ptr + base, token, stride, column, inside, D)
    if KEYS == WINDOW:
        begin = BLOCK + tile * N
        block = begin // BLOCK
        first = tl.maximum((block - 1) * BLOCK, live // M * M)
        last = tl.where((begin < end) & (begin + N > live), tl.minimum((block + 2) * BLOCK, end), 0)
    else:
        first, last = tl.maximum(partial * chunk, live // M * M), tl.minimum(partial * chunk + chunk, end)

    out = start_of_result(batch, head, L, H, D)
    flat = row.to(tl.int64) * L
    dk, dv = tl.zeros((N, WIDTH), WIDE), tl.zeros((N, WIDTH), WIDE)
    for start in range(first, last, M):
        query = start + tl.arange(0, M)
        p_query, _ = places_of(places, query, L)
        asking = is_token(query, p_query, L, PADDED)
        q = load_rows(q_ptr + base, query, stride, column, asking, D)
        grad = load_rows(grad_ptr + out, query, H * D, column, asking, D)
        log_sum = tl.load(log_sum_ptr + flat + query, mask=query < L, other=ABSENT)
        delta = tl.load(delta_ptr + flat + query, mask=query < L, other=0.0)
        low, factor = query, query
        if THRESHOLD > 0:
            low, factor = row_words(words_ptr + flat, query, L)
        products = dot(k, tl.trans(q), OPERAND, PRECISION)
        if KEYS == PACKED:
            scores = packed_scores(products, cost[:, None], scale)
        else:
            r = p_query[None, :] - position[:, None]
            is_edge = (query == 0)[None, :] != (token == 0)[:, None]
            scores = token_scores(products, r, cost[:, None], is_edge, alpha, beta, gamma, scale, HAS_SLOPES)
        dp = dot(v, tl.trans(grad), OPERAND, PRECISION)
        p, dropped, ds = gradient_of_scores(
            scores, log_sum[None, :], dp, delta[None, :], low[None, :], factor[None, :], slot[:, None], keep_scale,
            THRESHOLD,
        )  # fmt: skip
        dv += dot(dropped.to(grad.dtype), grad, OPERAND, PRECISION)
        dk += dot(ds.to(q.dtype), q, OPERAND, PRECISION)

    if KEYS == WINDOW:
        store_rows(dk_ptr + out, token, H * D, column, token < L, D, dk * scale)
        store_rows(dv_ptr + out, token, H * D, column, token < L, D, dv * keep_scale)
    else:
        share = (partial * rows + row).to(tl.int64) * keys * D
        store_rows(dk_ptr + share, number, D, column, number < keys, D, dk * scale)
        store_rows(dv_ptr + share, number, D, column, number < keys, D, dv * keep_scale)
