"""USWAttn, one query block after another: time and memory linear in L, nothing of size [L, L] anywhere.

The keys a query block needs, [packed; global block; left, own and right block], stay in one small buffer;
moving on by a block brings in one new key block over the oldest (block j lies in slot j mod 3). The backward
pass walks the same way and computes the probabilities again, so no pass stores them.

BiALiBi is linear in the slopes, so a block's bias is one product of the slopes with distances shared by all heads:
    bias = -(β · left + γ · right + α · first) - ∞ · dead,   left = right = b/2 for packed keys.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, W = S + 4b keys of a query block,
R rows (sequences) walked together, m ≤ b queries of the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.attention.bialibi import BiALiBi, distances

DEAD = -1e30  # finite, so that a row of dead keys alone gives no NaN
CPU_CACHE_BYTES = 2**21  # scores walked together stay within a core's own cache


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
) -> Tensor:
    """Arguments as :func:`dense_unpack_window_attention`; returns its result alone, <float>[B, H, L, D].

    Scores and bias are float32 (float64 for float64 inputs) whatever the inputs are.
    """
    B, H, L, _ = q.shape
    wide = torch.promote_types(q.dtype, torch.float32)
    if slopes is None:
        coefficients = torch.zeros(H, 3, dtype=wide, device=q.device)
    else:
        alpha, beta, gamma = slopes.coefficients()
        coefficients = -torch.stack([beta, gamma, alpha], dim=1).to(wide)
    if positions is None:
        positions = torch.arange(L, device=q.device).expand(B, L)
    if padding_mask is None:
        padding_mask = torch.zeros(B, L, dtype=torch.bool, device=q.device)
    # dropout is drawn block by block from this seed, so the backward pass draws the same again
    seed = int(torch.randint(2**62, ())) if dropout_p > 0 else 0
    with torch.autocast(q.device.type, enabled=False):
        dtype = q.dtype
        k, v, pack_k, pack_v = (t.to(dtype) for t in (k, v, pack_k, pack_v))
        result: Tensor = _BlockwiseAttention.apply(
            q, k, v, pack_k, pack_v, coefficients, positions, padding_mask, block_size, dropout_p, seed
        )
    return result


class _Block(NamedTuple):
    """What one query block needs. R rows, m queries, W keys."""

    rows: slice
    queries: slice
    number: int  # of the block
    keys: Tensor  # [R, H, W, D], a view of the buffer
    values: Tensor  # [R, H, W, D], a view of the buffer
    features: Tensor  # [R, 4, m, W]: left, right, first, dead
    generator: torch.Generator | None


class _KeyBuffer:
    """The W keys in reach of the current query block, for R rows: packed, global, and a ring of three blocks."""

    def __init__(self, k: Tensor, v: Tensor, pack_k: Tensor, pack_v: Tensor, b: int, wide: torch.dtype) -> None:
        R, H, L, D = k.shape
        S = pack_k.shape[2]
        W = S + 4 * b
        self.k, self.v, self.b, self.S, self.L = k, v, b, S, L
        self.keys, self.values = k.new_zeros(2, R, H, W, D, dtype=wide).unbind(0)
        self.keys[:, :, :S], self.values[:, :, :S] = pack_k, pack_v
        self.position = k.new_zeros(R, W, dtype=wide)
        self.dead = torch.ones(R, W, dtype=torch.bool, device=k.device)
        self.dead[:, :S] = False

    def ring_slot(self, block: int) -> int:
        """First column of a block's slot."""
        return self.S + self.b + block % 3 * self.b

    def load(self, block: int, column: int, positions: Tensor, padding_mask: Tensor) -> None:
        """Puts one key block into the columns that start at ``column``; past the end they are dead."""
        start = block * self.b
        size = max(0, min(self.b, self.L - start))
        at, tokens = slice(column, column + size), slice(start, start + size)
        self.dead[:, column : column + self.b] = True
        if size:
            self.keys[:, :, at], self.values[:, :, at] = self.k[:, :, tokens], self.v[:, :, tokens]
            self.position[:, at] = positions[:, tokens].to(self.position.dtype)
            self.dead[:, at] = padding_mask[:, tokens]


def _walk(
    inputs: tuple[Tensor, ...], positions: Tensor, padding_mask: Tensor, b: int, seed: int | None
) -> Iterator[_Block]:
    """Visits every query block with its keys and distance features."""
    q, k, v, pack_k, pack_v = inputs
    B, H, L, _ = q.shape
    S = pack_k.shape[2]
    wide = torch.promote_types(q.dtype, torch.float32)
    blocks = -(-L // b)
    together = B if q.is_cuda else max(1, CPU_CACHE_BYTES // (H * b * (S + 4 * b) * wide.itemsize))
    generator = None if seed is None else torch.Generator(q.device)
    for row in range(0, B, together):
        rows = slice(row, min(row + together, B))
        position, padding = positions[rows], padding_mask[rows]
        buffer = _KeyBuffer(k[rows], v[rows], pack_k[rows], pack_v[rows], b, wide)
        for index in range(blocks):
            if index == 0:
                buffer.load(0, buffer.ring_slot(0), position, padding)
            if index == 2:  # blocks 0 and 1 have the global block as own or left neighbour: count it once
                buffer.load(0, S, position, padding)
            buffer.load(index + 1, buffer.ring_slot(index + 1), position, padding)
            queries = slice(index * b, min(index * b + b, L))
            if generator is not None and seed is not None:
                generator.manual_seed(seed ^ (row * blocks + index))
            features = _features(buffer, position[:, queries], index)
            yield _Block(rows, queries, index, buffer.keys, buffer.values, features, generator)


def _features(buffer: _KeyBuffer, query_positions: Tensor, index: int) -> Tensor:
    """The four factors of a block's bias, <float32 or wider>[R, 4, m, W]; dead keys are 0 in the first three."""
    (R, m), (_, W), S, b = query_positions.shape, buffer.position.shape, buffer.S, buffer.b
    features = buffer.position.new_zeros(R, 4, m, W)
    queries = query_positions.to(buffer.position.dtype)
    features[:, 0], features[:, 1] = distances(queries, buffer.position, queries.dtype)
    features[:, :2, :, :S] = b / 2
    if index == 0:
        _to_first(features[:, :, 0, S:])
    # the key of token 0 is in the global slot, or (for blocks 0 and 1) still in the ring
    first_key = S if index >= 2 else buffer.ring_slot(0)
    _to_first(features[:, :, :, first_key])
    if index == 0:
        features[:, :3, 0, first_key] = 0  # i = j = 0
    features[:, :3].masked_fill_(buffer.dead[:, None, None, :], 0)
    features[:, 3] = buffer.dead[:, None, :]
    return features


def _to_first(features: Tensor) -> None:
    """α in place of any distance, for the pairs in ``features`` [R, 4, …]."""
    features[:, :2] = 0
    features[:, 2] = 1


def _probabilities(block: _Block, q: Tensor, coefficients: Tensor, S: int, out: Tensor) -> Tensor:
    """σ(q Kᵀ / √d - [D_P; D]) of one block. ``out`` <float32 or wider>[R, H, m, W] is overwritten and returned."""
    R, H, m, W = out.shape
    bias = out.view(R, H, m * W)
    torch.bmm(coefficients.expand(R, H, 4), block.features.view(R, 4, m * W), out=bias)
    scores = out.view(R * H, m, W)
    scores.baddbmm_(q.flatten(0, 1), block.keys.flatten(0, 1).transpose(1, 2), alpha=q.shape[-1] ** -0.5)
    torch.softmax(scores, dim=-1, out=scores)
    if S == 0:  # without packed keys a row may see nothing: 0, not the mean of what is dead
        out.masked_fill_((block.features[:, 3] > 0).all(dim=-1)[:, None, :, None], 0.0)
    return out


def _dropout_scale(like: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """0 with probability p, else 1 / (1 - p)."""
    return torch.empty_like(like).bernoulli_(1 - p, generator=generator).div_(1 - p)


class _BlockwiseAttention(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        pack_k: Tensor,
        pack_v: Tensor,
        coefficients: Tensor,
        positions: Tensor,
        padding_mask: Tensor,
        b: int,
        dropout_p: float,
        seed: int,
    ) -> Tensor:
        H, S = q.shape[1], pack_k.shape[2]
        result = torch.empty_like(q)
        weights = _with_dead(coefficients)
        for block in _walk((q, k, v, pack_k, pack_v), positions, padding_mask, b, seed if dropout_p else None):
            q_block = q[block.rows, :, block.queries].to(weights.dtype)
            R, _, m, _ = q_block.shape
            p = q_block.new_empty(R, H, m, S + 4 * b)
            _probabilities(block, q_block, weights, S, out=p)
            if dropout_p:
                p.mul_(_dropout_scale(p, dropout_p, block.generator))
            result[block.rows, :, block.queries] = p @ block.values
        ctx.save_for_backward(q, k, v, pack_k, pack_v, coefficients, positions, padding_mask)
        ctx.settings = b, dropout_p, seed
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        *inputs, coefficients, positions, padding_mask = ctx.saved_tensors
        b, dropout_p, seed = ctx.settings
        q, _, _, pack_k, _ = inputs
        (_, H, L, _), S, scale = q.shape, pack_k.shape[2], q.shape[-1] ** -0.5
        weights = _with_dead(coefficients)
        dq, dk, dv, dpack_k, dpack_v = (torch.zeros_like(t, dtype=weights.dtype) for t in inputs)
        dweights = torch.zeros_like(weights)

        def scatter(dx: Tensor, dpack: Tensor, dbuffer: Tensor, block: _Block) -> None:
            """Adds the gradient of the buffer's columns [R, H, W, D] to where their keys came from."""
            dpack[block.rows] += dbuffer[:, :, :S]
            ring = [(j, S + b + j % 3 * b) for j in (block.number - 1, block.number, block.number + 1)]
            for j, column in [(0, S)] * (block.number >= 2) + ring:
                size = min(b, L - j * b)
                if j >= 0 and size > 0:
                    dx[block.rows, :, j * b : j * b + size] += dbuffer[:, :, column : column + size]

        for block in _walk(tuple(inputs), positions, padding_mask, b, seed if dropout_p else None):
            at = block.rows, slice(None), block.queries
            q_block, grad_block = q[at].to(weights.dtype), grad[at].to(weights.dtype)
            R, _, m, _ = q_block.shape
            p = q_block.new_empty(R, H, m, S + 4 * b)
            _probabilities(block, q_block, weights, S, out=p)
            dp = grad_block @ block.values.transpose(2, 3)
            dropped = p
            if dropout_p:
                keep = _dropout_scale(p, dropout_p, block.generator)
                dropped, dp = p * keep, dp.mul_(keep)
            scatter(dv, dpack_v, dropped.transpose(2, 3) @ grad_block, block)
            # not grad · result: a rounded result, times distances, would drown the slopes' gradients
            ds = dp.sub_((dp * p).sum(dim=-1, keepdim=True)).mul_(p)
            dweights += torch.einsum("rhn,rfn->hf", ds.view(R, H, -1), block.features.view(R, 4, -1))
            dq[at] = ds @ block.keys
            scatter(dk, dpack_k, ds.transpose(2, 3) @ q_block, block)

        dq, dk, dpack_k = (t.mul_(scale) for t in (dq, dk, dpack_k))
        grads = (g.to(t.dtype) for g, t in zip((dq, dk, dv, dpack_k, dpack_v), inputs, strict=True))
        return *grads, dweights[:, :3].to(coefficients.dtype), None, None, None, None, None


def _with_dead(coefficients: Tensor) -> Tensor:
    """Adds the fixed weight of dead keys: [H, 3] to [H, 4]."""
    return torch.cat([coefficients, torch.full_like(coefficients[:, :1], DEAD)], dim=1)
