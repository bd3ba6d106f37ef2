"""Sums over chunks whose memory is that of one chunk, in the backward pass too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def chunk_length(elements: int, device: torch.device) -> int:
    """How many items of so many elements to take at once: four megabytes a tensor, more where a start costs most."""
    return max(1, 2 ** (20 if device.type == "cpu" else 24) // elements)


def chunked_sum(function: Callable[..., Tensor], chunks: Sequence[Any], *tensors: Tensor) -> Tensor:
    """Σ function(chunk, *tensors) over the chunks, to be differentiated once.

    Each chunk's gradients are taken along with its value, so that nothing of it is kept and nothing is computed
    twice; the backward pass only scales what they add up to. Where no gradient is wanted, none is taken. Both are
    float32 at least, under autocast too: a loss scale, which keeps small gradients from vanishing in half precision,
    comes only then.

    Args:
        function: a chunk and the tensors to a scalar; other tensors it knows get no gradient.
        chunks: slices, or whatever the function tells its chunks by.
        tensors: what to differentiate with respect to; the function gets them in float32 at least.
    Returns:
        <float32 or wider>, a scalar.
    """
    # autocast would take the gradients in half precision, where a distance past 65,504 has no end
    with torch.autocast(tensors[0].device.type, enabled=False):
        total: Tensor = _ChunkedSum.apply(function, chunks, torch.is_grad_enabled(), *tensors)
    return total


class _ChunkedSum(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, function: Callable[..., Tensor], chunks: Sequence[Any], grad_enabled: bool, *tensors: Tensor
    ) -> Tensor:
        wanted = [n for n, needed in enumerate(ctx.needs_input_grad[3:]) if needed and grad_enabled]
        types = [torch.promote_types(t.dtype, torch.float32) for t in tensors]
        inputs = [t.detach().to(types[n]).requires_grad_(n in wanted) for n, t in enumerate(tensors)]
        leaves = [inputs[n] for n in wanted]
        sums = [torch.zeros_like(leaf) for leaf in leaves]
        total = torch.zeros((), dtype=torch.float64, device=tensors[0].device)
        for chunk in chunks:
            with torch.set_grad_enabled(bool(wanted)):
                value = function(chunk, *inputs)
            total += value.detach()
            if wanted:
                for into, grad in zip(sums, torch.autograd.grad(value, leaves, allow_unused=True), strict=True):
                    if grad is not None:
                        into += grad
        ctx.wanted, ctx.types = wanted, [t.dtype for t in tensors]
        ctx.save_for_backward(*sums)
        return total.to(types[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        grads: list[Tensor | None] = [None] * len(ctx.types)
        for n, summed in zip(ctx.wanted, ctx.saved_tensors, strict=True):
            grads[n] = (grad * summed).to(ctx.types[n])
        return None, None, None, *grads
