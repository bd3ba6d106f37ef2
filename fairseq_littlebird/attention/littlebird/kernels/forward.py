"""The forward kernel of USWAttn: M queries a program, N keys at a time, the softmax online."""

from __future__ import annotations

import triton
import triton.language as tl

from fairseq_littlebird.attention.littlebird.kernels.common import (
    ABSENT,
    FLOOR,
    LOG2_E,
    NOWHERE,
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
from fairseq_littlebird.attention.littlebird.kernels.dropout import is_kept, row_words


@triton.jit
def softmax_step(
    scores, v, maximum, total, acc, words, slot, THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr
):
    """Online softmax: takes N more keys into a row's maximum, its sum of weights and its weighted values."""
    new = tl.maximum(maximum, tl.max(scores, axis=1))
    shrink = tl.exp2(maximum - new)
    p = tl.exp2(scores - new[:, None])
    total = total * shrink + tl.sum(p, axis=1)
    if THRESHOLD > 0:
        p = tl.where(is_kept(words[:, None], slot[None, :], THRESHOLD), p, 0.0)
    acc = acc * shrink[:, None] + dot(p.to(v.dtype), v, OPERAND, PRECISION)
    return new, total, acc


@triton.jit
def forward_kernel(
    q_ptr, k_ptr, v_ptr, far_k_ptr, far_v_ptr, slopes_ptr, positions_ptr, extent_ptr, seed_ptr,
    result_ptr, log_sum_ptr, batch_stride, head_stride, row_stride, position_stride, H, L, S, F, scale, keep_scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr,
    THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """M queries of a head: their result and log-sums. Grid (Z, B · H)."""
    row = tl.program_id(1)
    batch, head = row // H, row % H
    begin = tl.program_id(0) * M
    query, column = begin + tl.arange(0, M), tl.arange(0, WIDTH)
    alpha, beta, gamma, pack = slopes_of(slopes_ptr, head, H, BLOCK, WIDE)
    far_end, window, window_end = reach(extent_ptr, batch, begin, L, S, F, BLOCK, M, N)

    sequence = batch.to(tl.int64) * position_stride
    base = batch.to(tl.int64) * batch_stride + head.to(tl.int64) * head_stride
    far = row.to(tl.int64) * F * D
    q = load_rows(q_ptr + base, query, row_stride, column, L, D)
    p_query = positions_of(positions_ptr + sequence, query, L)
    is_first = (query == 0)[:, None]
    words = query
    if THRESHOLD > 0:
        words = row_words(seed_ptr, query, row)
    maximum, total = tl.full((M,), FLOOR, WIDE), tl.zeros((M,), WIDE)
    acc = tl.zeros((M, WIDTH), WIDE)

    for start in range(0, far_end, N):
        slot = start + tl.arange(0, N)
        k = load_rows(far_k_ptr + far, slot, D, column, F, D)
        v = load_rows(far_v_ptr + far, slot, D, column, F, D)
        weight, position, cost, first = far_keys(slot, S, L, F, alpha, pack, positions_ptr + sequence)
        products = dot(q, tl.trans(k), OPERAND, PRECISION) * (scale * LOG2_E)
        r = p_query[:, None] * weight[None, :] - position[None, :]
        scores = biased(products, r, cost[None, :], first[None, :], is_first, beta, gamma, slopes_ptr is not None)
        maximum, total, acc = softmax_step(scores, v, maximum, total, acc, words, slot, THRESHOLD, OPERAND, PRECISION)

    for start in range(window, window_end, N):
        token = start + tl.arange(0, N)
        k = load_rows(k_ptr + base, token, row_stride, column, L, D)
        v = load_rows(v_ptr + base, token, row_stride, column, L, D)
        position, cost = window_keys(token, L, positions_ptr + sequence)
        products = dot(q, tl.trans(k), OPERAND, PRECISION) * (scale * LOG2_E)
        r = p_query[:, None] - position[None, :]
        scores = biased(products, r, cost[None, :], alpha, is_first, beta, gamma, slopes_ptr is not None)
        maximum, total, acc = softmax_step(
            scores, v, maximum, total, acc, words, S + token, THRESHOLD, OPERAND, PRECISION
        )

    is_row = (total > 0) & (p_query < NOWHERE)
    total = tl.where(is_row, total, 1.0)
    acc = tl.where(is_row[:, None], acc * (keep_scale / total)[:, None], 0.0)
    out = batch.to(tl.int64) * L * H * D + head * D
    store_rows(result_ptr + out, query, H * D, column, L, D, acc)
    log_sum = tl.where(is_row, maximum + tl.log2(total), ABSENT)
    tl.store(log_sum_ptr + row.to(tl.int64) * L + query, log_sum, mask=query < L)
