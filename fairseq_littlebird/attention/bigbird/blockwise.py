"""BigBird's attention on a CPU, one head after another and some query blocks at a time, so that their keys, gathered
side by side, stay in cache. Nothing but queries, keys and values is kept: the backward pass walks the same way and
computes the probabilities again. Time and memory are linear in L.

Legend: B batch, L tokens, H heads, D head width, b block size, n blocks of one sequence up to its last unpadded token,
m query blocks of a piece, W = 5 + R key blocks of a query block, K keys of a piece: W·b, or n·b for the global blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.attention.bigbird.global_blocks import local_blocks
from fairseq_littlebird.attention.bigbird.key_blocks import key_blocks, last_blocks
from fairseq_littlebird.attention.common.blocks import split_blocks
from fairseq_littlebird.attention.common.dropout import keep_mask, random_seed
from fairseq_littlebird.attention.common.masked_softmax import MASKED

CHUNK_SIZE = 2**19  # scores made at a time
INPUTS = (  # of the operators
    "Tensor q, Tensor k, Tensor v, Tensor seen, Tensor last, Tensor? padding_mask, int block_size, float dropout_p, "
    "Tensor seed, str global_blocks"
)


def blockwise_bigbird_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    padding_mask: Tensor | None,
    block_size: int,
    random_blocks: Tensor,
    dropout_p: float = 0.0,
    global_blocks: str = "first_last",
) -> Tensor:
    """Arguments as :func:`dense_bigbird_attention`; returns its result alone, <float>[B, H, L, D].

    Scores are float32 (float64 for float64 inputs) whatever the inputs are. What stands at padding is
    undefined, though finite, and no gradient comes from blocks of padding alone.
    """
    last = last_blocks(padding_mask, q.shape[2], block_size, q.device)
    seen = key_blocks(random_blocks, last, global_blocks)
    seed = random_seed() if dropout_p else torch.zeros((), dtype=torch.int64)
    k, v = k.to(q.dtype), v.to(q.dtype)  # autocast may leave them apart
    with torch.autocast(q.device.type, enabled=False):
        result: Tensor = _attend(q, k, v, seen, last, padding_mask, block_size, dropout_p, seed, global_blocks)
    return result


class _Head:
    """One head of one sequence in blocks, [n, b, ·], and what its query blocks see.

    Args:
        seen: <int64>[n-2 or more, W], see :func:`key_blocks`.
        global_blocks: see :func:`local_blocks`.
        last: the block the sequence ends in.
        padding: <bool>[L] or None.
        length: L.
        block_size: b.
        dtype: to compute in.
    """

    def __init__(
        self,
        seen: Tensor,
        global_blocks: str,
        last: int,
        padding: Tensor | None,
        length: int,
        block_size: int,
        dtype: torch.dtype,
    ) -> None:
        self.n, self.b, self.dtype = last + 1, block_size, dtype
        self.tokens = min(length, self.n * block_size)
        self.seen, self.local = seen[: max(0, last - 1)], local_blocks(global_blocks, self.n)
        masked = torch.ones(self.n * block_size, dtype=torch.bool)
        masked[: self.tokens] = False if padding is None else padding[: self.tokens]
        self.bias = torch.zeros(masked.shape, dtype=dtype).masked_fill_(masked, MASKED).view(self.n, block_size)

    def blocks(self, x: Tensor) -> Tensor:
        """<float>[L, D] to [n, b, D], 0 past the end."""
        x = x[: self.tokens].to(self.dtype)
        return split_blocks(x, self.b)

    def pieces(self) -> Iterator[tuple[slice, Tensor | None, Tensor]]:
        """Query blocks, their key blocks <int64>[m, W] (None: all), and their keys' bias <float>[m, 1, K]."""
        for block in sorted({*range(self.n)} - {*range(self.local.start, self.local.stop)}):
            yield slice(block, block + 1), None, self.bias.view(1, 1, -1)
        m = max(1, CHUNK_SIZE // (self.b * self.b * self.seen.shape[1]))
        for start in range(0, len(self.seen), m):
            seen = self.seen[start : start + m]
            bias = self.bias[seen.clamp(min=0)].masked_fill_((seen < 0)[:, :, None], MASKED)
            first = self.local.start + start
            yield slice(first, first + len(seen)), seen.clamp(min=0), bias.view(len(seen), 1, -1)


class _Inputs(NamedTuple):
    """Of the operators, as ``INPUTS``."""

    q: Tensor  # <float>[B, H, L, D]
    k: Tensor
    v: Tensor
    seen: Tensor  # <int64>[B or 1, H, n-2 or more, W], see :func:`key_blocks`
    last: Tensor  # <int64>[B or 1], the block each sequence ends in
    padding_mask: Tensor | None  # <bool>[B, L]
    block_size: int
    dropout_p: float
    seed: Tensor
    global_blocks: str

    def generator(self) -> torch.Generator:
        """Of the dropout masks, which are the same in the backward pass."""
        return torch.Generator(self.q.device).manual_seed(int(self.seed))

    def heads(self) -> Iterator[tuple[Any, _Head]]:
        """Where in [B, H] each head is, and the head."""
        B, H, L, _ = self.q.shape
        dtype = torch.promote_types(self.q.dtype, torch.float32)
        ends = self.last.tolist()
        for sequence in range(B):
            padding = None if self.padding_mask is None else self.padding_mask[sequence]
            for head in range(H):
                of_head = self.seen[sequence % len(self.seen), head]
                last = ends[sequence % len(ends)]
                yield (sequence, head), _Head(of_head, self.global_blocks, last, padding, L, self.block_size, dtype)


def _keys(x: Tensor, seen: Tensor | None) -> Tensor:
    """The seen blocks of <float>[n, b, D] side by side: <float>[m, K, D]."""
    if seen is None:
        return x.view(1, -1, x.shape[2])
    return x.flatten(1).index_select(0, seen.flatten()).view(len(seen), -1, x.shape[2])


def _add(to: Tensor, gradient: Tensor, seen: Tensor | None) -> None:
    """Adds what :func:`_keys` gathered, <float>[m, K, D], to where it was, <float>[n, b, D]."""
    if seen is None:
        to.add_(gradient.view_as(to))
    else:
        to.flatten(1).index_add_(0, seen.flatten(), gradient.reshape(seen.numel(), -1))


def _probabilities(q: Tensor, keys: Tensor, bias: Tensor) -> Tensor:
    """σ(Q Kᵀ / √d) over the visible keys, <float>[m, b, K]."""
    scores = torch.baddbmm(bias, q, keys.transpose(1, 2), alpha=q.shape[2] ** -0.5)
    p = torch.softmax(scores, dim=2, out=scores)
    blind = (bias == MASKED).all(dim=2, keepdim=True)
    return p.masked_fill_(blind, 0.0) if blind.any() else p


@torch.library.custom_op("fairseq_littlebird::bigbird_attention", mutates_args=(), schema=f"({INPUTS}) -> Tensor")
def _attend(*inputs: Any) -> Tensor:
    given = _Inputs(*inputs)
    result, generator, dropout_p = torch.zeros_like(given.q), given.generator(), given.dropout_p
    for at, head in given.heads():
        queries, keys, values = (head.blocks(x[at]) for x in (given.q, given.k, given.v))
        out = torch.empty_like(queries)
        for q_blocks, k_blocks, bias in head.pieces():
            p = _probabilities(queries[q_blocks], _keys(keys, k_blocks), bias)
            if dropout_p:
                p.mul_(keep_mask(p, dropout_p, generator))
            torch.bmm(p, _keys(values, k_blocks), out=out[q_blocks])
        result[at][: head.tokens] = out.flatten(0, 1)[: head.tokens]
    return result


@_attend.register_fake
def _(q: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(q)


@torch.library.custom_op(
    "fairseq_littlebird::bigbird_attention_backward",
    mutates_args=(),
    schema=f"(Tensor grad, {INPUTS}) -> (Tensor, Tensor, Tensor)",
)
def _attend_backward(grad: Tensor, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    given = _Inputs(*inputs)
    tensors, generator, dropout_p = (given.q, given.k, given.v), given.generator(), given.dropout_p
    dq, dk, dv = map(torch.zeros_like, tensors)
    scale = grad.shape[3] ** -0.5
    for at, head in given.heads():
        queries, keys, values, gradients = (head.blocks(x[at]) for x in (*tensors, grad))
        dqueries, dkeys, dvalues = torch.empty_like(queries), torch.zeros_like(keys), torch.zeros_like(values)
        for q_blocks, k_blocks, bias in head.pieces():
            k_piece, g = _keys(keys, k_blocks), gradients[q_blocks]
            p = _probabilities(queries[q_blocks], k_piece, bias)
            dp = torch.bmm(g, _keys(values, k_blocks).transpose(1, 2))
            dropped = p
            if dropout_p:
                keep = keep_mask(p, dropout_p, generator)
                dropped, dp = p * keep, dp.mul_(keep)
            _add(dvalues, torch.bmm(dropped.transpose(1, 2), g), k_blocks)
            ds = torch.ops.aten._softmax_backward_data(dp, p, 2, p.dtype).mul_(scale)
            torch.bmm(ds, k_piece, out=dqueries[q_blocks])
            _add(dkeys, torch.bmm(ds.transpose(1, 2), queries[q_blocks]), k_blocks)
        for whole, part in ((dq, dqueries), (dk, dkeys), (dv, dvalues)):
            whole[at][: head.tokens] = part.flatten(0, 1)[: head.tokens]
    return dq, dk, dv


@_attend_backward.register_fake
def _(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return tuple(map(torch.empty_like, (q, k, v)))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.block_size, ctx.dropout_p, seed, ctx.global_blocks = inputs
    ctx.save_for_backward(*tensors, seed)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, seed = ctx.saved_tensors
    with torch.autocast(grad.device.type, enabled=False):
        gradients = _attend_backward(grad, *tensors, ctx.block_size, ctx.dropout_p, seed, ctx.global_blocks)
    return *gradients, *[None] * 7


_attend.register_autograd(_gradients, setup_context=_save)
