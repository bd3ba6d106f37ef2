"""Attention of query blocks to the window before them, by torch's fused kernel for CPUs on views of the keys.

The kernel gives a bias no gradient and knows no dropout; where these or padding are asked for, see
:func:`window_block_attention`. Either several blocks of one sequence are computed together, or one of all sequences.

Legend: B batch, Q queries, K ≥ Q tokens with keys, H heads, D head width, b block size, w window; of a step N blocks of
m ≤ b queries, W ≤ w + m keys of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

STEP_SIZE = 2**21  # elements of the keys that are read together, whose gradients are memory of their own


def is_fused(q: Tensor, bias: Tensor | None, dropout_p: float) -> bool:
    """Whether the kernel is for such queries, biases of distances and dropout.

    Half types are left out: it rounds probabilities to them.
    """
    learns = bias is not None and bias.requires_grad and torch.is_grad_enabled()
    return q.device.type == "cpu" and q.dtype in (torch.float32, torch.float64) and not dropout_p and not learns


def fused_window_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """σ(Q Kᵀ / √D + bias) V, block by block.

    Args:
        q: <float>[B, H, Q, D], of the last Q of the tokens.
        k, v: <float>[B, H, K, D].
        bias: <float>[H or 1, b, w + b], the same for every block; MASKED where a query does not see a key. Every query
            sees its own.
    Returns:
        <float>[B, H, Q, D], in memory a token's heads together.
    """
    result: Tensor = _FusedWindows.apply(q, k, v, bias)
    return result


class _Step(NamedTuple):
    """Blocks that are computed together: in one sequence, or one in each."""

    sequence: int | None  # None: all of them
    first: int  # query
    blocks: int
    m: int
    absent: int  # keys before the first token, which the window of the first query would have


class _Windows:
    """Views of queries, keys and biases.

    Args:
        q, k: <float>[B, H, Q or K, D].
        bias: <float>[H or 1, b, w + b].
    """

    def __init__(self, q: Tensor, k: Tensor, bias: Tensor) -> None:
        (self.B, self.H, self.Q, self.D), self.K = q.shape, k.shape[2]
        self.bias, self.b, self.w = bias, bias.shape[1], bias.shape[2] - bias.shape[1]

    def __iter__(self) -> Iterator[_Step]:
        b, w, past = self.b, self.w, self.K - self.Q
        whole, rest = divmod(self.Q, b)
        clipped = min(whole, -(-max(w - past, 0) // b))  # whose windows begin before the first token
        together = max(STEP_SIZE // ((w + b) * self.H * self.D), 1)
        apart = min(together, whole - clipped) <= self.B  # then more sequences than blocks can go together
        for block in range(whole if apart else clipped):
            yield _Step(None, block * b, 1, b, max(w - past - block * b, 0))
        for sequence in range(0 if apart else self.B):
            for block in range(clipped, whole, together):
                yield _Step(sequence, block * b, min(together, whole - block), b, 0)
        if rest:
            yield _Step(None, whole * b, 1, rest, max(w - past - whole * b, 0))

    def queries(self, x: Tensor, step: _Step) -> Tensor:
        """A view of the step's, <float>[N, H, m, D] of [B, H, Q, D]."""
        return self._of(x, step, step.first, step.m)

    def keys(self, x: Tensor, step: _Step, first: int = 0, stop: int | None = None) -> Tensor:
        """A view of the keys [first, stop), by default all, of its windows, <float>[N, H, stop - first, D]."""
        start = step.first + self.K - self.Q - self.w + step.absent
        stop = self.width(step) if stop is None else stop
        return self._of(x, step, start + first, stop - first)

    def width(self, step: _Step) -> int:
        """W."""
        return self.w + step.m - step.absent

    def biases(self, step: _Step) -> Tensor:
        """<float>[N, H or 1, m, W]."""
        blocks = self.B if step.sequence is None else step.blocks
        return self.bias[:, : step.m, step.absent : self.w + step.m].expand(blocks, -1, -1, -1)

    def _of(self, x: Tensor, step: _Step, start: int, width: int) -> Tensor:
        if step.sequence is None:
            return x[:, :, start : start + width]
        x = x[step.sequence]
        of_head, of_token, of_column = x.stride()
        size, strides = (step.blocks, self.H, width, x.shape[2]), (self.b * of_token, of_head, of_token, of_column)
        return x.as_strided(size, strides, x.storage_offset() + start * of_token)

    def add_to_keys(self, x: Tensor, gradient: Tensor, step: _Step) -> None:
        """Adds <float>[N, H, W, D] to x <float>[B, H, K, D], in pieces of the windows that do not overlap."""
        stop = self.width(step)
        for start in (*range(stop - self.b, 0, -self.b), 0) if step.blocks > 1 else (0,):
            self.keys(x, step, start, stop).add_(gradient[:, :, start:stop])
            stop = start


class _FusedWindows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        windows, (B, H, Q, D) = _Windows(q, k, bias), q.shape
        result = q.new_empty(B, Q, H, D).transpose(1, 2)
        sums = q.new_empty(B, Q, H, 1).transpose(1, 2)  # logarithms of the softmax's denominators
        for step in windows:
            given = windows.queries(q, step), windows.keys(k, step), windows.keys(v, step)
            of_step, of_sums = _kernel(*given, attn_mask=windows.biases(step))
            windows.queries(result, step).copy_(of_step)
            windows.queries(sums, step).copy_(of_sums[..., None])
        ctx.save_for_backward(q, k, v, bias, result, sums)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, result, sums = ctx.saved_tensors
        windows = _Windows(q, k, bias)
        dq, dk, dv = (x.new_zeros(x.transpose(1, 2).shape).transpose(1, 2) for x in (q, k, v))
        for step in windows:
            given = windows.queries(q, step), windows.keys(k, step), windows.keys(v, step)
            of_queries = windows.queries(grad, step), *given, windows.queries(result, step)
            of_sums = windows.queries(sums, step)[..., 0]
            gradients = _kernel_backward(*of_queries, of_sums, 0.0, False, attn_mask=windows.biases(step))
            windows.queries(dq, step).copy_(gradients[0])
            windows.add_to_keys(dk, gradients[1], step)
            windows.add_to_keys(dv, gradients[2], step)
        return dq, dk, dv, None


def _kernel(*given: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    """The result <float>[N, H, m, D], and the sums <float>[N, H, m]."""
    found: tuple[Tensor, Tensor] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*given, **options)
    return found


def _kernel_backward(*given: Any, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of queries, keys and values."""
    backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    found: tuple[Tensor, Tensor, Tensor] = backward(*given, **options)
    return found
