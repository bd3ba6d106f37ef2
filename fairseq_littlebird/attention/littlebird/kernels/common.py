"""What the kernels share: rows in memory, where keys stand and what they cost."""

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
def dot(a, b, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """a b. OPERAND is the inputs' own type, but float32 for bfloat16 in the interpreter, which cannot multiply it."""
    return tl.dot(a.to(OPERAND), b.to(OPERAND), input_precision=PRECISION)


@triton.jit
def load_rows(pointer, row, stride, column, end, D: tl.constexpr):
    """<float>[rows, columns] of a matrix of width D; 0 from the row ``end`` on."""
    inside = (row < end)[:, None] & (column < D)[None, :]
    return tl.load(pointer + row.to(tl.int64)[:, None] * stride + column[None, :], mask=inside, other=0.0)


@triton.jit
def store_rows(pointer, row, stride, column, end, D: tl.constexpr, value):
    inside = (row < end)[:, None] & (column < D)[None, :]
    place = pointer + row.to(tl.int64)[:, None] * stride + column[None, :]
    tl.store(place, value.to(pointer.dtype.element_ty), mask=inside)


@triton.jit
def slopes_of(pointer, head, H, BLOCK: tl.constexpr, WIDE: tl.constexpr):
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
def extent_of(pointer, batch, L):
    """The first unpadded token of a sequence and one past its last."""
    if pointer is None:
        live = 0
        end = L
    else:
        live = tl.load(pointer + 2 * batch)
        end = tl.load(pointer + 2 * batch + 1)
    return live, end


@triton.jit
def reach(extent_ptr, batch, begin, L, S, F, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr):
    """Where the far keys of M queries end, and the tokens past block 0 that they see; nothing for padding alone."""
    live, end = extent_of(extent_ptr, batch, L)
    asked = (begin < end) & (begin + M > live)
    block = begin // BLOCK
    far_end = tl.where(asked, tl.where(live < BLOCK, F, S), 0)
    window = tl.maximum(tl.maximum(block - 1, 1) * BLOCK, live // N * N)
    return far_end, window, tl.where(asked, tl.minimum((block + 2) * BLOCK, end), 0)


@triton.jit
def positions_of(pointer, token, L):
    return tl.load(pointer + token, mask=(token >= 0) & (token < L), other=NOWHERE)


@triton.jit
def far_keys(slot, S, L, F, alpha, pack, positions_ptr):
    """w, p, c of far keys, and what the query of token 0 pays in place of a distance."""
    token = slot - S
    position = positions_of(positions_ptr, token, L)
    masked = (token >= 0) & (position >= NOWHERE) | (slot >= F)
    cost = tl.where(token < 0, pack, tl.where(token == 0, alpha, 0.0))
    first = tl.where(token < 0, 0.0, tl.where(token == 0, -alpha, alpha))
    moving = token > 0
    return tl.where(moving, 1.0, 0.0), tl.where(moving, position, 0.0), tl.where(masked, MASKED_COST, cost), first


@triton.jit
def window_keys(token, L, positions_ptr):
    """p and c of tokens past block 0."""
    position = positions_of(positions_ptr, token, L)
    return position, tl.where(position >= NOWHERE, MASKED_COST, 0.0)


@triton.jit
def biased(products, r, cost, first, is_first, beta, gamma, HAS_SLOPES: tl.constexpr):
    """Scores minus bias; all arguments broadcast to <float>[queries, keys], or to its transpose."""
    if HAS_SLOPES:
        scores = products - (tl.where(is_first, first, tl.where(r > 0, beta, -gamma) * r) + cost)
    else:
        scores = products - cost
    return scores
