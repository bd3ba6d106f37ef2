"""The backward kernels of keys: far ones sum over a chunk of queries, the others over the queries of three blocks."""

from __future__ import annotations

import triton
import triton.language as tl

from fairseq_littlebird.attention.littlebird.kernels.common import (
    ABSENT,
    LOG2_E,
    biased,
    dot,
    extent_of,
    far_keys,
    load_rows,
    positions_of,
    slopes_of,
    store_rows,
    window_keys,
)
from fairseq_littlebird.attention.littlebird.kernels.dropout import row_words
from fairseq_littlebird.attention.littlebird.kernels.tile_gradient import gradient_of_scores


@triton.jit
def keys_backward(
    k, v, slot, weight, position, cost, first, query_begin, query_end,
    q_ptr, slopes_ptr, positions_ptr, seed_ptr, log_sum_ptr, grad_ptr, delta_ptr,
    batch_stride, head_stride, row_stride, position_stride, H, L, scale, keep_scale, beta, gamma, row,
    D: tl.constexpr, M: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """dk and dv <float>[N, D] of N keys from the queries of a range; everything transposed, [keys, queries]."""
    batch, head = row // H, row % H
    sequence = batch.to(tl.int64) * position_stride
    base = batch.to(tl.int64) * batch_stride + head.to(tl.int64) * head_stride
    out = batch.to(tl.int64) * L * H * D + head * D
    flat = row.to(tl.int64) * L
    column = tl.arange(0, WIDTH)
    dk, dv = tl.zeros((N, WIDTH), WIDE), tl.zeros((N, WIDTH), WIDE)
    for start in range(query_begin, query_end, M):
        query = start + tl.arange(0, M)
        q = load_rows(q_ptr + base, query, row_stride, column, L, D)
        grad = load_rows(grad_ptr + out, query, H * D, column, L, D)
        log_sum = tl.load(log_sum_ptr + flat + query, mask=query < L, other=ABSENT)
        delta = tl.load(delta_ptr + flat + query, mask=query < L, other=0.0)
        p_query = positions_of(positions_ptr + sequence, query, L)[None, :]
        words = query
        if THRESHOLD > 0:
            words = row_words(seed_ptr, query, row)
        products = dot(k, tl.trans(q), OPERAND, PRECISION) * (scale * LOG2_E)
        r = weight * p_query - position[:, None]
        is_first = (query == 0)[None, :]
        scores = biased(products, r, cost[:, None], first, is_first, beta, gamma, slopes_ptr is not None)
        dp = dot(v, tl.trans(grad), OPERAND, PRECISION)
        _, dropped, ds = gradient_of_scores(
            scores, log_sum[None, :], dp, delta[None, :], words[None, :], slot[:, None], keep_scale, THRESHOLD
        )
        dv += dot(dropped.to(grad.dtype), grad, OPERAND, PRECISION)
        dk += dot(ds.to(q.dtype), q, OPERAND, PRECISION)
    return dk * scale, dv * keep_scale


@triton.jit
def far_keys_backward_kernel(
    q_ptr, far_k_ptr, far_v_ptr, slopes_ptr, positions_ptr, extent_ptr, seed_ptr,
    log_sum_ptr, grad_ptr, delta_ptr, dfar_k_ptr, dfar_v_ptr,
    batch_stride, head_stride, row_stride, position_stride, H, L, S, F, scale, keep_scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr,
    CHUNK: tl.constexpr, THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """N far keys of a head, from one chunk of queries: dfar_k, dfar_v <float>[chunks, B · H, F, D].

    Grid (F / N, chunks, B · H).
    """
    row = tl.program_id(2)
    batch, head = row // H, row % H
    slot, column = tl.program_id(0) * N + tl.arange(0, N), tl.arange(0, WIDTH)
    alpha, beta, gamma, pack = slopes_of(slopes_ptr, head, H, BLOCK, WIDE)
    live, end = extent_of(extent_ptr, batch, L)
    chunk = tl.program_id(1) * CHUNK
    far = row.to(tl.int64) * F * D
    sequence = batch.to(tl.int64) * position_stride
    k = load_rows(far_k_ptr + far, slot, D, column, F, D)
    v = load_rows(far_v_ptr + far, slot, D, column, F, D)
    weight, position, cost, first = far_keys(slot, S, L, F, alpha, pack, positions_ptr + sequence)
    dk, dv = keys_backward(
        k, v, slot, weight[:, None], position, cost, first[:, None],
        tl.maximum(chunk, live // M * M), tl.minimum(chunk + CHUNK, end),
        q_ptr, slopes_ptr, positions_ptr, seed_ptr, log_sum_ptr, grad_ptr, delta_ptr,
        batch_stride, head_stride, row_stride, position_stride, H, L, scale, keep_scale, beta, gamma, row,
        D, M, N, WIDTH, THRESHOLD, OPERAND, PRECISION, WIDE,
    )  # fmt: skip
    partial = (tl.program_id(1) * tl.num_programs(2) + row).to(tl.int64) * F * D
    store_rows(dfar_k_ptr + partial, slot, D, column, F, D, dk)
    store_rows(dfar_v_ptr + partial, slot, D, column, F, D, dv)


@triton.jit
def window_keys_backward_kernel(
    q_ptr, k_ptr, v_ptr, slopes_ptr, positions_ptr, extent_ptr, seed_ptr,
    log_sum_ptr, grad_ptr, delta_ptr, dk_ptr, dv_ptr,
    batch_stride, head_stride, row_stride, position_stride, H, L, S, F, scale, keep_scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """N keys of a head past block 0, from the queries of their own block and its neighbours.

    Grid ((L - b) / N, B · H).
    """
    row = tl.program_id(1)
    batch, head = row // H, row % H
    begin = BLOCK + tl.program_id(0) * N
    token, column = begin + tl.arange(0, N), tl.arange(0, WIDTH)
    alpha, beta, gamma, _ = slopes_of(slopes_ptr, head, H, BLOCK, WIDE)
    live, end = extent_of(extent_ptr, batch, L)
    block = begin // BLOCK
    sequence = batch.to(tl.int64) * position_stride
    base = batch.to(tl.int64) * batch_stride + head.to(tl.int64) * head_stride
    k = load_rows(k_ptr + base, token, row_stride, column, L, D)
    v = load_rows(v_ptr + base, token, row_stride, column, L, D)
    position, cost = window_keys(token, L, positions_ptr + sequence)
    asked = (begin < end) & (begin + N > live)
    dk, dv = keys_backward(
        k, v, S + token, 1.0, position, cost, alpha,
        tl.maximum((block - 1) * BLOCK, live // M * M),
        tl.where(asked, tl.minimum((block + 2) * BLOCK, end), 0),
        q_ptr, slopes_ptr, positions_ptr, seed_ptr, log_sum_ptr, grad_ptr, delta_ptr,
        batch_stride, head_stride, row_stride, position_stride, H, L, scale, keep_scale, beta, gamma, row,
        D, M, N, WIDTH, THRESHOLD, OPERAND, PRECISION, WIDE,
    )  # fmt: skip
    out = batch.to(tl.int64) * L * H * D + head * D
    store_rows(dk_ptr + out, token, H * D, column, L, D, dk)
    store_rows(dv_ptr + out, token, H * D, column, L, D, dv)
