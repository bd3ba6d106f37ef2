"""Dropout from a generator's raw bits: on a CPU half of what a draw per element costs, and no mask to keep."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LANES = 2**16  # two random bytes an element
CHUNK_SIZE = 2**20  # elements masked at a time


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """As :func:`torch.nn.functional.dropout`, p below 1; the backward pass draws the mask again.

    Args:
        x: <float>[…].
    """
    if not training or p == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, p)
    dropped: Tensor = _dropout(x, p, random_seed())
    return dropped


def random_seed() -> Tensor:
    """<int64>[], drawn from torch's own generator: what a pass and its backward pass draw their masks from."""
    return torch.randint(2**31, ())


def keep_mask(like: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """0 with probability p (to a 65,536th), else 1 / (1 - p), in the shape and type of ``like``.

    Args:
        like: <float>[…].
        p: below 1.
        generator: of the device of ``like``.
    """
    bits = torch.empty(-(-like.numel() // 4), dtype=torch.int64, device=like.device)
    bits.random_(torch.iinfo(torch.int64).min, None, generator=generator)
    dropped = min(round(p * LANES), LANES - 1)
    lanes = bits.view(torch.int16)[: like.numel()].view(like.shape)
    wide = torch.promote_types(like.dtype, torch.float32)  # half types cannot count so far
    mask = torch.empty(like.shape, dtype=wide, device=like.device).copy_(lanes)
    return mask.ge_(dropped - LANES // 2).mul_(LANES / (LANES - dropped)).to(like.dtype)


@torch.library.custom_op(
    "fairseq_littlebird::dropout", mutates_args=(), schema="(Tensor x, float p, Tensor seed) -> Tensor"
)
def _dropout(x: Tensor, p: float, seed: Tensor) -> Tensor:
    result = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    generator = torch.Generator(x.device).manual_seed(int(seed))
    for piece, of in zip(result.view(-1).split(CHUNK_SIZE), x.reshape(-1).split(CHUNK_SIZE), strict=True):
        torch.mul(of, keep_mask(piece, p, generator), out=piece)
    return result


@_dropout.register_fake
def _(x: Tensor, p: float, seed: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


def _save(ctx: Any, inputs: tuple[Tensor, float, Tensor], output: Tensor) -> None:
    _, ctx.p, seed = inputs
    ctx.save_for_backward(seed)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    return _dropout(grad, ctx.p, *ctx.saved_tensors), None, None


_dropout.register_autograd(_gradients, setup_context=_save)
