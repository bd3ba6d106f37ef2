"""Attention of query blocks to the window before them and to a few global keys: nothing of size [Q, W] anywhere.

One group of blocks goes after another, in memory that fits a core's cache. The backward pass goes through the groups in
the same order and computes the probabilities again.

Legend: B batch, Q queries, K ≥ Q tokens with keys, H heads, D head width, b block size, n = ⌈Q / b⌉ blocks, w window,
E global keys, W = E + w + b keys of a block, R > w distances; of a step G sequences, J heads, T blocks of
m ≤ b queries, N = G · J · T.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.dropout import keep_mask, random_seed
from fairseq_littlebird.attention.common.masked_softmax import MASKED

STEP_SIZE = 2**19  # scores computed together on a CPU
STEP_SIZE_ELSEWHERE = 2**26
MIN_VIEWED_STEP_SIZE = 2**16  # scores of one head's blocks, from which on its keys are not copied


class WindowBlocks(NamedTuple):
    """What each block of queries attends to, and with which bias."""

    q: Tensor  # <float>[B, H, Q, D], of the last Q of the tokens
    k: Tensor  # <float>[B, H, K, D]
    v: Tensor
    bias: Tensor  # <float32 or wider>[H or 1, b, W], the same for every block; MASKED where a query does not see a key
    distance_bias: Tensor | None = None  # <float32 or wider>[B, H, Q, R], of the tokens 0, 1, … back
    global_k: Tensor | None = None  # <float>[B, H, E, D], the first E keys of every block
    global_v: Tensor | None = None
    growth: Tensor | None = None  # <float32 or wider>[H, E], what block t's bias of global keys gets t times
    hidden: Tensor | None = None  # <bool>[B, K], padding
    global_hidden: Tensor | None = None  # <bool>[B, E]


def window_block_attention(given: WindowBlocks, dropout_p: float = 0.0) -> Tensor:
    """σ(Q Kᵀ / √D + bias) V, block by block.

    Args:
        given: see :class:`WindowBlocks`; block size and window are those of its bias.
        dropout_p: dropout of the attention probabilities.
    Returns:
        <float>[B, H, Q, D]; a query that sees nothing is 0.
    """
    q, k, v = given.q, given.k.to(given.q.dtype), given.v.to(given.q.dtype)
    global_k, global_v = (None if t is None else t.to(q.dtype) for t in (given.global_k, given.global_v))
    seed = random_seed() if dropout_p else torch.zeros((), dtype=torch.int64)
    tensors = given._replace(k=k, v=v, global_k=global_k, global_v=global_v)  # autocast may leave them apart
    with torch.autocast(q.device.type, enabled=False):
        result: Tensor = _WindowBlockAttention.apply(dropout_p, seed, *tensors)
    return result


class _Step(NamedTuple):
    """Queries that are computed together."""

    sequences: slice
    heads: slice
    first: int  # block
    blocks: int  # T
    m: int
    absent: int  # keys before the first token, which the window of the first query would have

    def of(self, x: Tensor) -> Tensor:
        """Its sequences and heads of [B, H, …]."""
        return x[self.sequences, self.heads]


class _Steps:
    """What the forward and the backward pass have in common."""

    def __init__(self, given: WindowBlocks, dropout_p: float, seed: Tensor) -> None:
        self.given, self.dropout_p = given, dropout_p
        (self.B, self.H, self.Q, self.D), self.K = given.q.shape, given.k.shape[2]
        self.E = 0 if given.global_k is None else given.global_k.shape[2]
        self.b, self.w = given.bias.shape[1], given.bias.shape[2] - given.bias.shape[1] - self.E
        self.scale, self.wide = self.D**-0.5, torch.promote_types(given.q.dtype, torch.float32)
        self.views = self.E == 0 and given.q.dtype == self.wide  # whether the windows of one head need no copy
        self.generator = torch.Generator(given.q.device).manual_seed(int(seed)) if dropout_p else None
        self.buffers: dict[str, Tensor] = {}

    def __iter__(self) -> Iterator[_Step]:
        b, past = self.b, self.K - self.Q
        size = b * (self.E + self.w + b)
        most = max((STEP_SIZE if self.given.q.device.type == "cpu" else STEP_SIZE_ELSEWHERE) // size, 1)
        heads = min(self.H, most)
        sequences = min(self.B, max(most // self.H, 1))
        together = max(most // (heads * sequences), 1)
        whole, rest = divmod(self.Q, b)
        clipped = min(whole, -(-max(self.w - past, 0) // b))  # whose windows begin before the first token
        # heads one by one if their steps are large enough
        apart = self.views and min(whole - clipped, most) * size >= MIN_VIEWED_STEP_SIZE
        groups = [(block, 1, b) for block in range(clipped)]
        groups += (
            [] if apart else [(block, min(together, whole - block), b) for block in range(clipped, whole, together)]
        )
        groups += [(whole, 1, rest)] if rest else []
        for n in range(0, self.B, sequences):
            for h in range(0, self.H, heads):
                of = slice(n, min(n + sequences, self.B)), slice(h, min(h + heads, self.H))
                for first, blocks, m in groups:
                    yield _Step(*of, first, blocks, m, max(self.w - past - first * b, 0))
        for n, h in product(range(self.B), range(self.H)) if apart else ():
            for first in range(clipped, whole, most):
                yield _Step(slice(n, n + 1), slice(h, h + 1), first, min(most, whole - first), b, 0)

    def buffer(self, name: str, *shape: int) -> Tensor:
        """Memory that every step uses again, <float32 or wider>."""
        if name not in self.buffers or self.buffers[name].numel() < math.prod(shape):
            self.buffers[name] = self.given.q.new_empty(math.prod(shape), dtype=self.wide)
        return self.buffers[name][: math.prod(shape)].view(shape)

    def left_out(self, step: _Step) -> int:
        """Columns of the window that a step does without; biases of distances need all of them."""
        return step.absent if self.given.distance_bias is None else 0

    def queries(self, x: Tensor, step: _Step) -> Tensor:
        """A view of a step's, <any>[G, J, T, m, …] of [B, H, Q, …]."""
        start = step.first * self.b
        return step.of(x)[:, :, start : start + step.blocks * step.m].unflatten(2, (step.blocks, step.m))

    def wide_queries(self, x: Tensor, step: _Step) -> Tensor:
        """The same as <float32 or wider>[N, m, D]."""
        return self.queries(x, step).to(self.wide).reshape(-1, step.m, self.D)

    def window(self, x: Tensor, step: _Step, first: int, width: int) -> Tensor:
        """A view of the keys ``first`` … ``first + width - 1`` of each block's window, <any>[G, J, T, width, …].

        Args:
            x: <any>[B, H, K, …].
        """
        x = step.of(x)
        (of_sequence, of_head, of_token, *others), (G, J, _, *rest) = x.stride(), x.shape
        start = x.storage_offset() + (step.first * self.b + self.K - self.Q - self.w + first) * of_token
        size, strides = (G, J, step.blocks, width, *rest), (of_sequence, of_head, self.b * of_token, of_token, *others)
        return x.as_strided(size, strides, start)

    def keys(self, name: str, x: Tensor, of_global: Tensor | None, step: _Step) -> Tensor:
        """A step's keys or values, <float32 or wider>[N, W, D]."""
        absent, out = step.absent, self.left_out(step)
        width = self.w + step.m - absent
        of_step = step.of(x)
        G, J = of_step.shape[:2]
        if self.views and G == J == 1 and not absent:
            return self.window(x, step, 0, width).flatten(0, 2)  # as they are
        buffer = self.buffer(name, G, J, step.blocks, self.E + self.w + step.m - out, self.D)
        if of_global is not None:
            buffer[..., : self.E, :] = step.of(of_global)[:, :, None]
        buffer[..., self.E : buffer.shape[3] - width, :] = 0.0
        buffer[..., buffer.shape[3] - width :, :] = self.window(x, step, absent, width)
        return buffer.flatten(0, 2)

    def probabilities(self, q: Tensor, k: Tensor, step: _Step) -> Tensor:
        """<float32 or wider>[N, m, W] of q [N, m, D] and k [N, W, D]."""
        given, (N, m, _), W, E = self.given, q.shape, k.shape[1], self.E
        scores = self.buffer("probabilities", N, m, W)
        parts = self.parts(scores, step)
        bias = given.bias if len(given.bias) == 1 else given.bias[step.heads]
        of_global, of_window = bias[:, None, :m, :E], bias[:, None, :m, E + self.left_out(step) : E + self.w + m]
        if given.growth is not None:
            of_global = of_global + given.growth[step.heads, None, None] * self.numbers(step)
        if E:
            parts[..., :E] = of_global
        parts[..., E:] = of_window
        scores.baddbmm_(q, k.transpose(1, 2), alpha=self.scale)
        if given.distance_bias is not None:
            self.diagonals(scores, step).add_(self.queries(given.distance_bias, step)[..., : self.w + 1].flip(-1))
            parts[..., E : E + step.absent] = MASKED
        if given.hidden is None:
            return torch.softmax(scores, dim=2, out=scores)
        parts.masked_fill_(self.hidden_keys(step), MASKED)
        unseen = scores <= MASKED / 2
        return torch.softmax(scores, dim=2, out=scores).masked_fill_(unseen, 0.0)

    def parts(self, scores: Tensor, step: _Step) -> Tensor:
        """A view of [N, m, W] as [G, J, T, m, W]."""
        J = step.heads.stop - step.heads.start
        return scores.view(-1, J, step.blocks, *scores.shape[1:])

    def numbers(self, step: _Step) -> Tensor:
        """Of the blocks, <float32 or wider>[T, 1, 1]."""
        numbers = torch.arange(step.first, step.first + step.blocks, device=self.given.q.device, dtype=self.wide)
        return numbers[:, None, None]

    def diagonals(self, scores: Tensor, step: _Step) -> Tensor:
        """A view of [N, m, W]: of each query the keys w, …, 1, 0 back, [G, J, T, m, w + 1]."""
        parts = self.parts(scores, step)
        *leading, of_query, of_key = parts.stride()
        start = parts.storage_offset() + self.E
        return parts.as_strided((*parts.shape[:4], self.w + 1), (*leading, of_query + of_key, of_key), start)

    def hidden_keys(self, step: _Step) -> Tensor:
        """<bool>[G, 1, T, 1, W]."""
        of_sequences, absent, out = step._replace(heads=slice(0, 1)), step.absent, self.left_out(step)
        assert self.given.hidden is not None
        width = self.w + step.m - absent
        hidden = self.window(self.given.hidden[:, None], of_sequences, absent, width)
        before = hidden.new_zeros(*hidden.shape[:3], absent - out)
        parts = [before, hidden]
        if self.given.global_hidden is not None:
            of_global = self.given.global_hidden[step.sequences, None, None]
            parts.insert(0, of_global.expand(-1, 1, step.blocks, -1))
        return torch.cat(parts, dim=3)[:, :, :, None]

    def keep(self, p: Tensor) -> Tensor:
        """A dropout mask for the probabilities."""
        assert self.generator is not None
        return keep_mask(p, self.dropout_p, self.generator)

    def add_to_keys(self, x: Tensor, of_global: Tensor | None, gradient: Tensor, step: _Step) -> None:
        """Adds a step's [N, W, D] to x [B, H, K, D] and of_global [B, H, E, D], <float32 or wider>."""
        J, out = step.heads.stop - step.heads.start, self.left_out(step)
        parts = gradient.view(-1, J, step.blocks, *gradient.shape[1:])
        if of_global is not None:
            step.of(of_global).add_(parts[..., : self.E, :].sum(dim=2))
        stop = self.w + step.m
        starts = [self.w, *range(self.w - self.b, step.absent, -self.b), step.absent]  # pieces that do not overlap
        for start in dict.fromkeys(starts):
            piece = parts[..., self.E + start - out : self.E + stop - out, :]
            self.window(x, step, start, stop - start).add_(piece)
            stop = start


class _WindowBlockAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dropout_p: float, seed: Tensor, *tensors: Any) -> Tensor:
        ctx.dropout_p = dropout_p
        ctx.save_for_backward(seed, *tensors)
        given = WindowBlocks(*tensors)
        steps, result = _Steps(given, dropout_p, seed), torch.empty_like(given.q)
        for step in steps:
            q, k = steps.wide_queries(given.q, step), steps.keys("keys", given.k, given.global_k, step)
            p = steps.probabilities(q, k, step)
            if dropout_p:
                p.mul_(steps.keep(p))
            v = steps.keys("values", given.v, given.global_v, step)
            to = steps.queries(result, step)
            to.copy_(torch.bmm(p, v, out=steps.buffer("results", *q.shape)).view(to.shape))
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        seed, *tensors = ctx.saved_tensors
        given = WindowBlocks(*tensors)
        steps = _Steps(given, ctx.dropout_p, seed)
        gradients: list[Any] = [  # added up as wide as scores are
            torch.zeros_like(t, dtype=steps.wide) if t is not None and (asked or name in ("q", "k", "v")) else None
            for name, t, asked in zip(WindowBlocks._fields, given, ctx.needs_input_grad[2:], strict=True)
        ]
        to = WindowBlocks(*gradients)
        with torch.autocast(grad.device.type, enabled=False):
            for step in steps:
                _add_gradients(steps, step, grad, to)
        return None, None, *(None if g is None else g.to(t.dtype) for g, t in zip(gradients, tensors, strict=True))


def _add_gradients(steps: _Steps, step: _Step, grad: Tensor, to: WindowBlocks) -> None:
    """Adds those of one step.

    Args:
        grad: of the result, <float>[B, H, Q, D].
        to: what they are added to, <float32 or wider>; None where it is not asked for.
    """
    given, E = steps.given, steps.E
    q, k = steps.wide_queries(given.q, step), steps.keys("keys", given.k, given.global_k, step)
    g, v = steps.wide_queries(grad, step), steps.keys("values", given.v, given.global_v, step)
    p = steps.probabilities(q, k, step)
    dp = torch.bmm(g, v.transpose(1, 2), out=steps.buffer("gradients", *p.shape))
    dropped = p
    if steps.dropout_p:
        keep = steps.keep(p)
        dropped, dp = p * keep, dp.mul_(keep)
    of_keys = steps.buffer("results", *k.shape)
    steps.add_to_keys(to.v, to.global_v, torch.bmm(dropped.transpose(1, 2), g, out=of_keys), step)
    # not grad · result: a rounded result, times distances, would drown the slopes' gradients
    ds = torch.ops.aten._softmax_backward_data.out(dp, p, 2, steps.wide, grad_input=dp)
    if to.distance_bias is not None:
        of_bias = steps.queries(to.distance_bias, step)[..., : steps.w + 1]
        of_bias.copy_(steps.diagonals(ds, step).flip(-1))
    if to.bias is not None:
        of_heads = steps.parts(ds, step).sum(dim=(0, 2))  # [J, m, W]
        of_heads = of_heads.sum(dim=0, keepdim=True) if len(to.bias) == 1 else of_heads
        of_bias = to.bias if len(to.bias) == 1 else to.bias[step.heads]
        of_bias[:, : step.m, :E] += of_heads[..., :E]
        of_bias[:, : step.m, E + steps.left_out(step) : E + steps.w + step.m] += of_heads[..., E:]
    if to.growth is not None:
        of_blocks = steps.parts(ds, step)[..., :E] * steps.numbers(step)
        to.growth[step.heads] += of_blocks.sum(dim=(0, 2, 3))
    ds.mul_(steps.scale)
    steps.add_to_keys(to.k, to.global_k, torch.bmm(ds.transpose(1, 2), q, out=of_keys), step)
    of_queries = steps.queries(to.q, step)
    of_queries.copy_(torch.bmm(ds, k, out=steps.buffer("queries", *q.shape)).view(of_queries.shape))
