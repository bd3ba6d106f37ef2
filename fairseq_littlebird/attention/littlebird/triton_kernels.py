"""The Triton kernels of USWAttn: scores, bias, softmax and dropout stay on the chip, forward and backward.

Every query sees the same F far keys, [packed; block 0], and then those of blocks 1, 2, … beside its own:

    s = q kᵀ / √d - bias,   bias = (β if r > 0 else -γ) · r + c,   r = w · p_query - p

A key's terms (w, p, c) make one formula for all kinds of keys: (1, its position, 0) for tokens, (0, 0, (β + γ) / 2 · b)
for packed keys, (0, 0, α) for token 0, and c = -MASKED for what nobody may see. The query of token 0 alone pays
otherwise: α for every other token.

The forward kernel takes M queries a program and streams N keys at a time, its softmax online. The backward pass has
one kernel for queries, which also sums what the slopes' gradients need, and two for keys: far ones sum over a chunk
of queries, the others over the queries of three blocks. No program adds to what another one wrote, so gradients are
deterministic. Scores, biases and log-sums are of base 2. Rows of padded queries are 0.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, F = S + min(b, L) far keys; Z tiles of
queries. A slot numbers the keys of a query: 0 … S-1 packed, S … S+L-1 tokens.
Tensors: q, k, v as strided [B, H, L, D], far keys [B, H, F, D], results and their gradients [B, L, H, D] in memory,
slopes <float>[3, H], positions <float32 or wider>[B or 1, L] with padding NOWHERE, extent <int32>[B, 2] (the first
unpadded token, and one past the last), seed <int64>[1].
"""

from __future__ import annotations

import triton
import triton.language as tl

from fairseq_littlebird.attention.common.masked_softmax import MASKED

LOG2_E = tl.constexpr(1.4426950408889634)
MASKED_COST = tl.constexpr(-MASKED)
FLOOR = tl.constexpr(-1e20)  # where a row's maximum starts: so far above MASKED that a masked key's weight is 0
ABSENT = tl.constexpr(1e20)  # log-sum of a row that is no row: all its weights are 0 in the backward pass
NOWHERE = tl.constexpr(1e10)  # position of padding


@triton.jit
def _dot(a, b, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """a b. OPERAND is the inputs' own type, but float32 for bfloat16 in the interpreter, which cannot multiply it."""
    return tl.dot(a.to(OPERAND), b.to(OPERAND), input_precision=PRECISION)


@triton.jit
def _load_rows(pointer, row, stride, column, end, D: tl.constexpr):
    """<float>[rows, columns] of a matrix of width D; 0 from the row ``end`` on."""
    inside = (row < end)[:, None] & (column < D)[None, :]
    return tl.load(pointer + row.to(tl.int64)[:, None] * stride + column[None, :], mask=inside, other=0.0)


@triton.jit
def _store_rows(pointer, row, stride, column, end, D: tl.constexpr, value):
    inside = (row < end)[:, None] & (column < D)[None, :]
    place = pointer + row.to(tl.int64)[:, None] * stride + column[None, :]
    tl.store(place, value.to(pointer.dtype.element_ty), mask=inside)


@triton.jit
def _slopes(pointer, head, H, BLOCK: tl.constexpr, WIDE: tl.constexpr):
    """α, β, γ and the bias of packed keys, all of base 2."""
    if pointer is None:
        alpha = tl.full((), 0, WIDE)
        beta = tl.full((), 0, WIDE)
        gamma = tl.full((), 0, WIDE)
    else:
        alpha = tl.load(pointer + head).to(WIDE) * LOG2_E
        beta = tl.load(pointer + H + head).to(WIDE) * LOG2_E
        gamma = tl.load(pointer + 2 * H + head).to(WIDE) * LOG2_E
    return alpha, beta, gamma, (beta + gamma) * (0.5 * BLOCK)


@triton.jit
def _extent(pointer, batch, L):
    """The first unpadded token of a sequence and one past its last."""
    if pointer is None:
        live = 0
        end = L
    else:
        live = tl.load(pointer + 2 * batch)
        end = tl.load(pointer + 2 * batch + 1)
    return live, end


@triton.jit
def _reach(extent_ptr, batch, begin, L, S, F, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr):
    """Where the far keys of M queries end, and the tokens past block 0 that they see; nothing for padding alone."""
    live, end = _extent(extent_ptr, batch, L)
    asked = (begin < end) & (begin + M > live)
    block = begin // BLOCK
    far_end = tl.where(asked, tl.where(live < BLOCK, F, S), 0)
    window = tl.maximum(tl.maximum(block - 1, 1) * BLOCK, live // N * N)
    return far_end, window, tl.where(asked, tl.minimum((block + 2) * BLOCK, end), 0)


@triton.jit
def _positions(pointer, token, L):
    return tl.load(pointer + token, mask=(token >= 0) & (token < L), other=NOWHERE)


@triton.jit
def _far_keys(slot, S, L, F, alpha, pack, positions_ptr):
    """w, p, c of far keys, and what the query of token 0 pays in place of a distance."""
    token = slot - S
    position = _positions(positions_ptr, token, L)
    masked = (token >= 0) & (position >= NOWHERE) | (slot >= F)
    cost = tl.where(token < 0, pack, tl.where(token == 0, alpha, 0.0))
    first = tl.where(token < 0, 0.0, tl.where(token == 0, -alpha, alpha))
    moving = token > 0
    return tl.where(moving, 1.0, 0.0), tl.where(moving, position, 0.0), tl.where(masked, MASKED_COST, cost), first


@triton.jit
def _window_keys(token, L, positions_ptr):
    """p and c of tokens past block 0."""
    position = _positions(positions_ptr, token, L)
    return position, tl.where(position >= NOWHERE, MASKED_COST, 0.0)


@triton.jit
def _biased(products, r, cost, first, is_first, beta, gamma, HAS_SLOPES: tl.constexpr):
    """Scores minus bias; all arguments broadcast to <float>[queries, keys], or to its transpose."""
    if HAS_SLOPES:
        scores = products - (tl.where(is_first, first, tl.where(r > 0, beta, -gamma) * r) + cost)
    else:
        scores = products - cost
    return scores


@triton.jit
def _row_words(seed_ptr, query, row):
    """A random word a query of the sequence and head ``row``: Philox with the counter (query, row)."""
    zero = query * 0
    word, _, _, _ = tl.philox(tl.load(seed_ptr), query, zero + row, zero, zero)
    return word.to(tl.uint32)


@triton.jit
def _is_kept(words, slot, THRESHOLD: tl.constexpr):
    """Which probabilities dropout keeps: SplitMix, a stream a query, whose state at a slot needs no other slot's.

    Philox for each probability would take several times the attention's own arithmetic. The mixing constants are
    those of C. Wellons' hash prospector.
    """
    state = words + slot.to(tl.uint32) * 0x9E3779B9
    state = (state ^ (state >> 16)) * 0x21F0AAAD
    state = (state ^ (state >> 15)) * 0xD35A2D97
    return (state ^ (state >> 15)) >= THRESHOLD


@triton.jit
def _softmax_step(
    scores, v, maximum, total, acc, words, slot, THRESHOLD: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr
):
    """Online softmax: takes N more keys into a row's maximum, its sum of weights and its weighted values."""
    new = tl.maximum(maximum, tl.max(scores, axis=1))
    shrink = tl.exp2(maximum - new)
    p = tl.exp2(scores - new[:, None])
    total = total * shrink + tl.sum(p, axis=1)
    if THRESHOLD > 0:
        p = tl.where(_is_kept(words[:, None], slot[None, :], THRESHOLD), p, 0.0)
    acc = acc * shrink[:, None] + _dot(p.to(v.dtype), v, OPERAND, PRECISION)
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
    alpha, beta, gamma, pack = _slopes(slopes_ptr, head, H, BLOCK, WIDE)
    far_end, window, window_end = _reach(extent_ptr, batch, begin, L, S, F, BLOCK, M, N)

    sequence = batch.to(tl.int64) * position_stride
    base = batch.to(tl.int64) * batch_stride + head.to(tl.int64) * head_stride
    far = row.to(tl.int64) * F * D
    q = _load_rows(q_ptr + base, query, row_stride, column, L, D)
    p_query = _positions(positions_ptr + sequence, query, L)
    is_first = (query == 0)[:, None]
    words = query
    if THRESHOLD > 0:
        words = _row_words(seed_ptr, query, row)
    maximum, total = tl.full((M,), FLOOR, WIDE), tl.zeros((M,), WIDE)
    acc = tl.zeros((M, WIDTH), WIDE)

    for start in range(0, far_end, N):
        slot = start + tl.arange(0, N)
        k = _load_rows(far_k_ptr + far, slot, D, column, F, D)
        v = _load_rows(far_v_ptr + far, slot, D, column, F, D)
        weight, position, cost, first = _far_keys(slot, S, L, F, alpha, pack, positions_ptr + sequence)
        products = _dot(q, tl.trans(k), OPERAND, PRECISION) * (scale * LOG2_E)
        r = p_query[:, None] * weight[None, :] - position[None, :]
        scores = _biased(products, r, cost[None, :], first[None, :], is_first, beta, gamma, slopes_ptr is not None)
        maximum, total, acc = _softmax_step(scores, v, maximum, total, acc, words, slot, THRESHOLD, OPERAND, PRECISION)

    for start in range(window, window_end, N):
        token = start + tl.arange(0, N)
        k = _load_rows(k_ptr + base, token, row_stride, column, L, D)
        v = _load_rows(v_ptr + base, token, row_stride, column, L, D)
        position, cost = _window_keys(token, L, positions_ptr + sequence)
        products = _dot(q, tl.trans(k), OPERAND, PRECISION) * (scale * LOG2_E)
        r = p_query[:, None] - position[None, :]
        scores = _biased(products, r, cost[None, :], alpha, is_first, beta, gamma, slopes_ptr is not None)
        maximum, total, acc = _softmax_step(
            scores, v, maximum, total, acc, words, S + token, THRESHOLD, OPERAND, PRECISION
        )

    is_row = (total > 0) & (p_query < NOWHERE)
    total = tl.where(is_row, total, 1.0)
    acc = tl.where(is_row[:, None], acc * (keep_scale / total)[:, None], 0.0)
    out = batch.to(tl.int64) * L * H * D + head * D
    _store_rows(result_ptr + out, query, H * D, column, L, D, acc)
    log_sum = tl.where(is_row, maximum + tl.log2(total), ABSENT)
    tl.store(log_sum_ptr + row.to(tl.int64) * L + query, log_sum, mask=query < L)


@triton.jit
def _gradient_of_scores(scores, log_sum, dp, delta, words, slot, keep_scale, THRESHOLD: tl.constexpr):
    """p, p after dropout (short of its scale), and the gradient of scores of natural base."""
    p = tl.exp2(scores - log_sum)
    dropped = p
    if THRESHOLD > 0:
        kept = _is_kept(words, slot, THRESHOLD)
        dropped = tl.where(kept, p, 0.0)
        dp = tl.where(kept, dp * keep_scale, 0.0)
    return p, dropped, p * (dp - delta)


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
    alpha, beta, gamma, pack = _slopes(slopes_ptr, head, H, BLOCK, WIDE)
    far_end, window, window_end = _reach(extent_ptr, batch, begin, L, S, F, BLOCK, M, N)

    sequence = batch.to(tl.int64) * position_stride
    base = batch.to(tl.int64) * batch_stride + head.to(tl.int64) * head_stride
    far = row.to(tl.int64) * F * D
    out = batch.to(tl.int64) * L * H * D + head * D
    flat = row.to(tl.int64) * L
    q = _load_rows(q_ptr + base, query, row_stride, column, L, D)
    grad = _load_rows(grad_ptr + out, query, H * D, column, L, D)
    result = _load_rows(result_ptr + out, query, H * D, column, L, D)
    delta = tl.sum(grad.to(WIDE) * result.to(WIDE), axis=1)
    log_sum = tl.load(log_sum_ptr + flat + query, mask=query < L, other=ABSENT)
    p_query = _positions(positions_ptr + sequence, query, L)
    is_first = (query == 0)[:, None]
    words = query
    if THRESHOLD > 0:
        words = _row_words(seed_ptr, query, row)
    dq, seen = tl.zeros((M, WIDTH), WIDE), tl.zeros((M, WIDTH), WIDE)  # Σ ds k, Σ p k
    # sums of p and of ds over a row's keys: packed, token 0, and times r where r > 0 and where r < 0
    zero = tl.zeros((M,), WIDE)
    p_pack, p_zero, p_left, p_right = zero, zero, zero, zero
    ds_pack, ds_zero, ds_left, ds_right = zero, zero, zero, zero
    excess = zero

    for start in range(0, far_end, N):
        slot = start + tl.arange(0, N)
        k = _load_rows(far_k_ptr + far, slot, D, column, F, D)
        v = _load_rows(far_v_ptr + far, slot, D, column, F, D)
        weight, position, cost, first = _far_keys(slot, S, L, F, alpha, pack, positions_ptr + sequence)
        products = _dot(q, tl.trans(k), OPERAND, PRECISION) * (scale * LOG2_E)
        r = p_query[:, None] * weight[None, :] - position[None, :]
        scores = _biased(products, r, cost[None, :], first[None, :], is_first, beta, gamma, slopes_ptr is not None)
        dp = _dot(grad, tl.trans(v), OPERAND, PRECISION)
        p, _, ds = _gradient_of_scores(
            scores, log_sum[:, None], dp, delta[:, None], words[:, None], slot[None, :], keep_scale, THRESHOLD
        )
        dq += _dot(ds.to(k.dtype), k, OPERAND, PRECISION)
        seen += _dot(p.to(k.dtype), k, OPERAND, PRECISION)
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
        k = _load_rows(k_ptr + base, token, row_stride, column, L, D)
        v = _load_rows(v_ptr + base, token, row_stride, column, L, D)
        position, cost = _window_keys(token, L, positions_ptr + sequence)
        products = _dot(q, tl.trans(k), OPERAND, PRECISION) * (scale * LOG2_E)
        r = p_query[:, None] - position[None, :]
        scores = _biased(products, r, cost[None, :], alpha, is_first, beta, gamma, slopes_ptr is not None)
        dp = _dot(grad, tl.trans(v), OPERAND, PRECISION)
        p, _, ds = _gradient_of_scores(
            scores, log_sum[:, None], dp, delta[:, None], words[:, None], (S + token)[None, :], keep_scale, THRESHOLD
        )
        dq += _dot(ds.to(k.dtype), k, OPERAND, PRECISION)
        seen += _dot(p.to(k.dtype), k, OPERAND, PRECISION)
        excess += tl.sum(ds, axis=1)
        if slopes_ptr is not None:
            left, right = tl.maximum(r, 0.0), tl.maximum(-r, 0.0)
            p_left += tl.sum(p * left, axis=1)
            p_right += tl.sum(p * right, axis=1)
            ds_left += tl.sum(ds * left, axis=1)
            ds_right += tl.sum(ds * right, axis=1)

    # a row of ds sums to 0 but for the rounding of the result in δ, which would drown the gradients of saturated rows
    tl.store(delta_ptr + flat + query, delta + excess, mask=query < L)
    _store_rows(dq_ptr + out, query, H * D, column, L, D, (dq - excess[:, None] * seen) * scale)
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


@triton.jit
def _keys_backward(
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
        q = _load_rows(q_ptr + base, query, row_stride, column, L, D)
        grad = _load_rows(grad_ptr + out, query, H * D, column, L, D)
        log_sum = tl.load(log_sum_ptr + flat + query, mask=query < L, other=ABSENT)
        delta = tl.load(delta_ptr + flat + query, mask=query < L, other=0.0)
        p_query = _positions(positions_ptr + sequence, query, L)[None, :]
        words = query
        if THRESHOLD > 0:
            words = _row_words(seed_ptr, query, row)
        products = _dot(k, tl.trans(q), OPERAND, PRECISION) * (scale * LOG2_E)
        r = weight * p_query - position[:, None]
        is_first = (query == 0)[None, :]
        scores = _biased(products, r, cost[:, None], first, is_first, beta, gamma, slopes_ptr is not None)
        dp = _dot(v, tl.trans(grad), OPERAND, PRECISION)
        _, dropped, ds = _gradient_of_scores(
            scores, log_sum[None, :], dp, delta[None, :], words[None, :], slot[:, None], keep_scale, THRESHOLD
        )
        dv += _dot(dropped.to(grad.dtype), grad, OPERAND, PRECISION)
        dk += _dot(ds.to(q.dtype), q, OPERAND, PRECISION)
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
    alpha, beta, gamma, pack = _slopes(slopes_ptr, head, H, BLOCK, WIDE)
    live, end = _extent(extent_ptr, batch, L)
    chunk = tl.program_id(1) * CHUNK
    far = row.to(tl.int64) * F * D
    sequence = batch.to(tl.int64) * position_stride
    k = _load_rows(far_k_ptr + far, slot, D, column, F, D)
    v = _load_rows(far_v_ptr + far, slot, D, column, F, D)
    weight, position, cost, first = _far_keys(slot, S, L, F, alpha, pack, positions_ptr + sequence)
    dk, dv = _keys_backward(
        k, v, slot, weight[:, None], position, cost, first[:, None],
        tl.maximum(chunk, live // M * M), tl.minimum(chunk + CHUNK, end),
        q_ptr, slopes_ptr, positions_ptr, seed_ptr, log_sum_ptr, grad_ptr, delta_ptr,
        batch_stride, head_stride, row_stride, position_stride, H, L, scale, keep_scale, beta, gamma, row,
        D, M, N, WIDTH, THRESHOLD, OPERAND, PRECISION, WIDE,
    )  # fmt: skip
    partial = (tl.program_id(1) * tl.num_programs(2) + row).to(tl.int64) * F * D
    _store_rows(dfar_k_ptr + partial, slot, D, column, F, D, dk)
    _store_rows(dfar_v_ptr + partial, slot, D, column, F, D, dv)


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
    alpha, beta, gamma, _ = _slopes(slopes_ptr, head, H, BLOCK, WIDE)
    live, end = _extent(extent_ptr, batch, L)
    block = begin // BLOCK
    sequence = batch.to(tl.int64) * position_stride
    base = batch.to(tl.int64) * batch_stride + head.to(tl.int64) * head_stride
    k = _load_rows(k_ptr + base, token, row_stride, column, L, D)
    v = _load_rows(v_ptr + base, token, row_stride, column, L, D)
    position, cost = _window_keys(token, L, positions_ptr + sequence)
    asked = (begin < end) & (begin + N > live)
    dk, dv = _keys_backward(
        k, v, S + token, 1.0, position, cost, alpha,
        tl.maximum((block - 1) * BLOCK, live // M * M),
        tl.where(asked, tl.minimum((block + 2) * BLOCK, end), 0),
        q_ptr, slopes_ptr, positions_ptr, seed_ptr, log_sum_ptr, grad_ptr, delta_ptr,
        batch_stride, head_stride, row_stride, position_stride, H, L, scale, keep_scale, beta, gamma, row,
        D, M, N, WIDTH, THRESHOLD, OPERAND, PRECISION, WIDE,
    )  # fmt: skip
    out = batch.to(tl.int64) * L * H * D + head * D
    _store_rows(dk_ptr + out, token, H * D, column, L, D, dk)
    _store_rows(dv_ptr + out, token, H * D, column, L, D, dv)
