"""USWAttn, one query block after another: time and memory linear in L, nothing of size [L, W] anywhere.

The keys a query block needs, [global block; packed; left, own and right block], stay in one small ring that fits a
core's cache; moving on by a block brings in one new key block over the oldest (block j lies in slot j mod 3). The
backward pass walks the same way and computes the probabilities again. Its gradients gather in a ring of their own,
whose blocks are written out as they leave it.

BiALiBi is linear in the slopes, so a block's bias is one product of the slopes with distances shared by all heads:
    bias = -(β · left + γ · right + α · first),   left = right = b/2 for packed keys.
These depend on positions alone: :func:`distance_features` makes them once a batch, for all layers.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, n tokens of one sequence up to its last
unpadded one, m ≤ b queries of a block, W = S + 4b keys of a block (S + 3b where the window holds the global block).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.dropout import keep_mask, random_seed
from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.littlebird.bialibi import BiALiBi, distances

INPUTS = (  # of the operators
    "Tensor q, Tensor k, Tensor v, Tensor pack_k, Tensor pack_v, Tensor coefficients, Tensor features, "
    "Tensor? padding_mask, int block_size, float dropout_p, Tensor seed"
)


def blockwise_unpack_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor,
    pack_v: Tensor,
    slopes: BiALiBi | None,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float = 0.0,
    features: Tensor | None = None,
) -> Tensor:
    """Arguments as :func:`dense_unpack_window_attention`; returns its result alone, <float>[B, H, L, D].

    Scores and bias are float32 (float64 for float64 inputs) whatever the inputs are. What stands in rows of padding
    is undefined, though finite, and no gradient comes from there.

    Args:
        features: :func:`distance_features` of these positions, where somebody has them already.
    """
    wide = torch.promote_types(q.dtype, torch.float32)
    if features is None:
        features = distance_features(q, positions, padding_mask, block_size, pack_k.shape[2])
    if slopes is None:
        coefficients = torch.zeros(q.shape[1], 3, dtype=wide, device=q.device)
    else:
        alpha, beta, gamma = slopes.coefficients()
        coefficients = -torch.stack([beta, gamma, alpha], dim=1).to(wide)
    seed = random_seed() if dropout_p else torch.zeros((), dtype=torch.int64)
    k, v, pack_k, pack_v = (t.to(q.dtype) for t in (k, v, pack_k, pack_v))  # autocast may leave them apart
    tensors = q, k, v, pack_k, pack_v, coefficients, features, padding_mask
    with torch.autocast(q.device.type, enabled=False):
        result: Tensor = _attend(*tensors, block_size, dropout_p, seed)
    return result


def distance_features(
    like: Tensor, positions: Tensor | None, padding_mask: Tensor | None, block_size: int, pack_size: int
) -> Tensor:
    """What the bias of every layer and head is made of: how far each key is to the left, to the right, or first.

    Args:
        like: <float>[…, L, D], for its length, device and type.
        positions: <integer>[B, L], non-decreasing, or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b.
        pack_size: S.
    Returns:
        <float32 or wider>[B or 1, 3, Σ m·W], one block's m·W after another's; 1 where all sequences are alike.
    """
    if positions is None:
        positions = torch.arange(like.shape[-2], device=like.device)[None]
        if padding_mask is not None:  # the last block of each is cut elsewhere
            positions = positions.expand(len(padding_mask), -1)
    wide = torch.promote_types(like.dtype, torch.float32)
    features: Tensor = _features(positions, padding_mask, block_size, pack_size, wide)
    return features


class _Block(NamedTuple):
    """One query block of a sequence, and where its keys lie in the ring."""

    number: int
    queries: slice  # its tokens
    columns: slice  # of the ring
    masked: list[slice]  # of these columns, those that hold no key
    features: slice  # in the last dimension of the features


def _blocks(n: int, b: int, S: int) -> Iterator[_Block]:
    """The query blocks of a sequence of n tokens."""
    offset = 0
    for i in range(-(-n // b)):
        first = 0 if i >= 2 else b  # blocks 0 and 1 have the global block in their window: count it once
        masked = []
        for j in (i - 1, i, i + 1):
            slot, size = b + S + j % 3 * b - first, max(0, min(b, n - j * b)) if j >= 0 else 0
            if size < b:
                masked.append(slice(slot + size, slot + b))
        m = min(b, n - i * b)
        end = offset + m * (S + 4 * b - first)
        yield _Block(i, slice(i * b, i * b + m), slice(first, None), masked, slice(offset, end))
        offset = end


class _Ring:
    """[global block; packed; three blocks] of one sequence's keys or values: ``rows`` <float>[H, S + 4b, D].

    Args:
        x: <float>[H, n, D].
        packed: <float>[H, S, D].
        b: block size.
        dtype: of the rows.
    """

    def __init__(self, x: Tensor, packed: Tensor, b: int, dtype: torch.dtype) -> None:
        (H, _, D), S = x.shape, packed.shape[1]
        self.x, self.b, self.S = x, b, S
        self.rows = self.empty_rows(H, S + 4 * b, D, dtype)
        self.rows[:, b : b + S] = packed

    def empty_rows(self, H: int, W: int, D: int, dtype: torch.dtype) -> Tensor:
        return self.x.new_zeros(W, H, D, dtype=dtype).transpose(0, 1)  # a token's heads together, as in x

    def slot(self, block: int) -> Tensor:
        start = self.b + self.S + block % 3 * self.b
        return self.rows[:, start : start + self.b]

    def enter(self, block: int) -> None:
        """Brings in what block ``block`` needs that its predecessor did not."""
        if block == 0:
            self._copy(0, self.slot(0))
        if block == 2:
            self._copy(0, self.rows[:, : self.b])
        self._copy(block + 1, self.slot(block + 1))

    def _copy(self, block: int, to: Tensor) -> None:
        tokens = self.x[:, block * self.b : (block + 1) * self.b]
        to[:, : tokens.shape[1]] = tokens


class _GradientRing(_Ring):
    """Gradients of the rows; ``leave`` writes them to ``x`` <float>[H, n, D] and ``packed`` <float>[H, S, D]."""

    def __init__(self, x: Tensor, packed: Tensor, b: int, dtype: torch.dtype) -> None:
        super().__init__(x, torch.zeros_like(packed), b, dtype)
        self.packed = packed

    def empty_rows(self, H: int, W: int, D: int, dtype: torch.dtype) -> Tensor:
        return self.x.new_zeros(H, W, D, dtype=dtype)  # a head's rows together: products add to no others at once

    def leave(self, block: int, last: bool) -> None:
        """Writes out what no block after ``block`` adds to."""
        for j in (block - 1, block) if last else (block - 1,):
            if j >= 0:
                tokens, slot = self.x[:, j * self.b : (j + 1) * self.b], self.slot(j)
                tokens.copy_(slot[:, : tokens.shape[1]])
                slot.zero_()
        if last:
            self.x[:, : self.b] += self.rows[:, : self.b][:, : self.x.shape[1]]
            self.packed.copy_(self.rows[:, self.b : self.b + self.S])


class _Sequence:
    """One sequence of the batch: its length without the padding behind it, and padding before that.

    Args:
        padding_mask: <bool>[B, L] or None.
        index: which sequence.
        length: L.
    """

    def __init__(self, padding_mask: Tensor | None, index: int, length: int) -> None:
        self.n, self.padding = length, None
        if padding_mask is not None:
            real = (~padding_mask[index]).nonzero()
            self.n = int(real[-1]) + 1 if len(real) else 0
            if len(real) < self.n:
                self.padding = padding_mask[index, : self.n]

    def hide(self, scores: Tensor, block: _Block, b: int, S: int) -> None:
        """Overwrites the scores [H, m, W] of what is no key."""
        for columns in block.masked:
            scores[:, :, columns] = MASKED
        if self.padding is None:
            return
        first = block.columns.start
        places = [(j, b + S + j % 3 * b - first) for j in (block.number - 1, block.number, block.number + 1) if j >= 0]
        for j, column in [(0, 0)] * (first == 0) + places:
            padding = self.padding[j * b : (j + 1) * b]
            scores[:, :, column : column + len(padding)].masked_fill_(padding, MASKED)


def _probabilities(
    q: Tensor, keys: Tensor, coefficients: Tensor, features: Tensor, sequence: _Sequence, block: _Block, b: int
) -> Tensor:
    """σ(q Kᵀ / √d - [D_P; D]) of one block, <float32 or wider>[H, m, W]; q [H, m, D], keys [H, W, D]."""
    (H, m, D), W = q.shape, keys.shape[1]
    scores = torch.mm(coefficients, features[:, block.features]).view(H, m, W)
    scores.baddbmm_(q, keys.transpose(1, 2), alpha=D**-0.5)
    S = W + block.columns.start - 4 * b
    sequence.hide(scores, block, b, S)
    if S == 0 and sequence.padding is not None:  # a query may see nothing: 0, not a mean of what is masked
        blind = (scores <= MASKED).all(dim=2, keepdim=True)
        return torch.softmax(scores, dim=2, out=scores).masked_fill_(blind, 0.0)
    return torch.softmax(scores, dim=2, out=scores)


@torch.library.custom_op(
    "fairseq_littlebird::distance_features",
    mutates_args=(),
    schema="(Tensor positions, Tensor? padding_mask, int block_size, int pack_size, ScalarType dtype) -> Tensor",
)
def _features(
    positions: Tensor, padding_mask: Tensor | None, block_size: int, pack_size: int, dtype: torch.dtype
) -> Tensor:
    (R, L), b, S = positions.shape, block_size, pack_size
    features = positions.new_zeros(R, 3, _features_size(L, b, S), dtype=dtype)
    for row in range(R):
        n = _Sequence(padding_mask, row, L).n
        position = positions[row, :n]  # as it is: float32 does not know every integer past 2^24
        keys = _Ring(position.view(1, n, 1), position.new_zeros(1, S, 1), b, positions.dtype)
        for block in _blocks(n, b, S):
            keys.enter(block.number)
            first = block.columns.start
            here = features[row, :, block.features].view(3, block.queries.stop - block.queries.start, -1)
            here[0], here[1] = distances(position[block.queries], keys.rows[0, first:, 0], dtype)
            here[:2, :, b - first : b - first + S] = b / 2
            if block.number == 0:
                _to_first(here[:, 0, S:])
            # the key of token 0 is in the global slot, or (for blocks 0 and 1) still in its own
            first_key = 0 if first == 0 else S
            _to_first(here[:, :, first_key])
            if block.number == 0:
                here[:, 0, first_key] = 0  # i = j = 0
    return features


@_features.register_fake
def _(positions: Tensor, padding_mask: Tensor | None, block_size: int, pack_size: int, dtype: torch.dtype) -> Tensor:
    R, L = positions.shape
    return positions.new_empty(R, 3, _features_size(L, block_size, pack_size), dtype=dtype)


def _features_size(L: int, b: int, S: int) -> int:
    """Σ m·W over the blocks of L tokens."""
    return L * (S + 4 * b) - min(L, 2 * b) * b


def _to_first(features: Tensor) -> None:
    """α in place of any distance, for the pairs in ``features`` [3, …]."""
    features[:2] = 0
    features[2] = 1


@torch.library.custom_op("fairseq_littlebird::blockwise_attention", mutates_args=(), schema=f"({INPUTS}) -> Tensor")
def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor,
    pack_v: Tensor,
    coefficients: Tensor,
    features: Tensor,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float,
    seed: Tensor,
) -> Tensor:
    (B, _, L, _), b, wide = q.shape, block_size, coefficients.dtype
    result = torch.zeros_like(q)
    generator = torch.Generator(q.device).manual_seed(int(seed))
    for row in range(B):
        sequence = _Sequence(padding_mask, row, L)
        keys, values = (
            _Ring(x[row, :, : sequence.n], packed[row], b, wide) for x, packed in ((k, pack_k), (v, pack_v))
        )
        shared = features[row % len(features)]
        for block in _blocks(sequence.n, b, pack_k.shape[2]):
            keys.enter(block.number)
            values.enter(block.number)
            q_block = q[row, :, block.queries].to(wide)
            p = _probabilities(q_block, keys.rows[:, block.columns], coefficients, shared, sequence, block, b)
            if dropout_p:
                p.mul_(keep_mask(p, dropout_p, generator))
            result[row, :, block.queries] = torch.bmm(p, values.rows[:, block.columns])
    return result


@_attend.register_fake
def _(q: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(q)


@torch.library.custom_op(
    "fairseq_littlebird::blockwise_attention_backward",
    mutates_args=(),
    schema=f"(Tensor grad, {INPUTS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _attend_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor,
    pack_v: Tensor,
    coefficients: Tensor,
    features: Tensor,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float,
    seed: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    (B, H, L, D), b, wide = q.shape, block_size, coefficients.dtype
    scale = D**-0.5
    dq, dk, dv, dpack_k, dpack_v, dcoefficients = map(torch.zeros_like, (q, k, v, pack_k, pack_v, coefficients))
    generator = torch.Generator(q.device).manual_seed(int(seed))
    for row in range(B):
        sequence = _Sequence(padding_mask, row, L)
        n = sequence.n
        keys, values = _Ring(k[row, :, :n], pack_k[row], b, wide), _Ring(v[row, :, :n], pack_v[row], b, wide)
        dkeys = _GradientRing(dk[row, :, :n], dpack_k[row], b, wide)
        dvalues = _GradientRing(dv[row, :, :n], dpack_v[row], b, wide)
        shared = features[row % len(features)]
        for block in _blocks(n, b, pack_k.shape[2]):
            at, columns = (row, slice(None), block.queries), block.columns
            keys.enter(block.number)
            values.enter(block.number)
            q_block, g_block = q[at].to(wide), grad[at].to(wide)
            k_block, v_block = keys.rows[:, columns], values.rows[:, columns]
            p = _probabilities(q_block, k_block, coefficients, shared, sequence, block, b)
            dp = torch.bmm(g_block, v_block.transpose(1, 2))
            dropped = p
            if dropout_p:
                keep = keep_mask(p, dropout_p, generator)
                dropped, dp = p * keep, dp.mul_(keep)
            dvalues.rows[:, columns].baddbmm_(dropped.transpose(1, 2), g_block)
            # not grad · result: a rounded result, times distances, would drown the slopes' gradients
            ds = torch.ops.aten._softmax_backward_data(dp, p, 2, wide)
            dcoefficients.addmm_(ds.view(H, -1), shared[:, block.features].t())
            dq[at] = torch.bmm(ds, k_block).mul_(scale)
            dkeys.rows[:, columns].baddbmm_(ds.transpose(1, 2), q_block, alpha=scale)
            for ring in (dkeys, dvalues):
                ring.leave(block.number, last=block.queries.stop == n)
    return dq, dk, dv, dpack_k, dpack_v, dcoefficients


@_attend_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, pack_k: Tensor, pack_v: Tensor, coefficients: Tensor, *_: Any
) -> tuple[Tensor, ...]:
    return tuple(map(torch.empty_like, (q, k, v, pack_k, pack_v, coefficients)))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.block_size, ctx.dropout_p, seed = inputs
    ctx.save_for_backward(*tensors, seed)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, seed = ctx.saved_tensors
    with torch.autocast(grad.device.type, enabled=False):
        gradients = _attend_backward(grad, *tensors, ctx.block_size, ctx.dropout_p, seed)
    return *gradients, None, None, None, None, None


_attend.register_autograd(_gradients, setup_context=_save)
