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
WHOLE = tl.constexpr(128)  # places are a multiple of it, so that no tile of them ends early
# numbers that a kernel is not compiled anew for: lengths change with every batch
SIZES = (
    "batch_stride",
    "head_stride",
    "row_stride",
    "pack_batch_stride",
    "pack_head_stride",
    "pack_row_stride",
    "place_stride",
    "H",
    "L",
    "S",
    "chunk",
)


@triton.jit
def dot(a, b, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """a b. OPERAND is the inputs' own type, but float32 for bfloat16 in the interpreter, which cannot multiply it."""
    return tl.dot(a.to(OPERAND), b.to(OPERAND), input_precision=PRECISION)


@triton.jit
def tile_and_row(tiles):
    """Which tile of which sequence and head: grids have one dimension, as the others end at 65,535."""
    return tl.program_id(0) % tiles, tl.program_id(0) // tiles


@triton.jit
def start_of(batch, head, batch_stride, head_stride, UNIT: tl.constexpr):
    """Where a sequence and head begins. UNIT tells the compiler how far rows are aligned."""
    return (batch.to(tl.int64) * batch_stride + head.to(tl.int64) * head_stride) * UNIT


@triton.jit
def start_of_result(batch, head, L, H, D: tl.constexpr):
    """The same in [B, L, H, D]."""
    return batch.to(tl.int64) * L * H * D + head * D


@triton.jit
def load_rows(pointer, row, stride, column, inside, D: tl.constexpr):
    """<float>[rows, columns] of a matrix of width D; 0 but ``inside``."""
    mask = inside[:, None] & (column < D)[None, :]
    return tl.load(pointer + row.to(tl.int64)[:, None] * stride + column[None, :], mask=mask, other=0.0)


@triton.jit
def store_rows(pointer, row, stride, column, inside, D: tl.constexpr, value):
    mask = inside[:, None] & (column < D)[None, :]
    place = pointer + row.to(tl.int64)[:, None] * stride + column[None, :]
    tl.store(place, value.to(pointer.dtype.element_ty), mask=mask)


@triton.jit
def slopes_of(pointer, head, H, BLOCK: tl.constexpr, WIDE: tl.constexpr):
    """α, β, γ and the cost of packed keys, all of base 2."""
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
def places_of(pointer, token, L):
    """Where tokens stand and what they cost; those past the last stand nowhere."""
    return tl.load(pointer + token), tl.load(pointer + tl.cdiv(L, WHOLE) * WHOLE + token)


@triton.jit
def is_token(token, position, L, PADDED: tl.constexpr):
    """Which tokens are there and not padding."""
    if PADDED:
        return position < NOWHERE
    return token < L


@triton.jit
def packed_cost(slot, S, pack):
    return tl.where(slot < S, pack, MASKED_COST)


@triton.jit
def window_of(extent_ptr, batch, begin, L, S, BLOCK: tl.constexpr, M: tl.constexpr):
    """What M queries past block 0 see besides packed keys, by kind; those of block 0 have all in their own range.

    Returns where packed keys end, where block 0 ends, the begin and end of the blocks at either side (the own block
    left out of the count) and of the own range; all is empty for padding alone.
    """
    live, end = extent_of(extent_ptr, batch, L)
    asked = (begin < end) & (begin + M > live)
    own = begin // BLOCK * BLOCK
    first = own == 0
    packed_end = tl.where(asked, S, 0)
    zero_end = tl.where(asked & (own > 0), tl.minimum(BLOCK, end), 0)
    beside = tl.maximum(own - BLOCK, BLOCK)
    beside_end = tl.where(asked & (own > 0), tl.maximum(tl.minimum(own + 2 * BLOCK, end) - BLOCK, own), 0)
    own_end = tl.where(asked, tl.minimum(tl.where(first, 2 * BLOCK, own + BLOCK), end), 0)
    return packed_end, zero_end, beside, beside_end, own, own_end
