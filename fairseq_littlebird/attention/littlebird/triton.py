"""USWAttn on an accelerator: the fused kernels as one differentiable operator that ``torch.compile`` sees whole.

Nothing of size L x (S + 4b) lies in device memory; the backward pass computes the probabilities again.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, F = S + min(b, L) far keys.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from fairseq_littlebird.attention.littlebird.bialibi import BiALiBi
from fairseq_littlebird.attention.littlebird.kernels.backward import (
    BackwardInputs,
    Gradients,
    fused_backward,
    separate_backward,
)
from fairseq_littlebird.attention.littlebird.kernels.forward import forward_kernel
from fairseq_littlebird.attention.littlebird.kernels.launch import (
    INTERPRETED,
    TYPES,
    constants,
    of_sequences,
    tiles,
    wide,
)
from fairseq_littlebird.attention.littlebird.kernels.places import places
from fairseq_littlebird.attention.littlebird.kernels.strides import alike, empty_as_result, in_units
from fairseq_littlebird.attention.littlebird.token_places import TokenPlaces

BLOCK_SIZES = (16, 32, 64, 128)
MAX_HEAD_WIDTH = 128
MIN_CAPABILITY = (8, 0)
BACKWARDS = {"separate": separate_backward, "fused": fused_backward}
BACKWARD = "separate"  # a key of BACKWARDS: the fused one has fewer instructions, but spills; no device has timed them


def triton_unpack_window_attention(
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
    token_places: TokenPlaces | None = None,
) -> Tensor:
    """Arguments as :func:`dense_unpack_window_attention`, and its positions and mask as :func:`places` makes them where
    the caller has that; returns its result alone, <float>[B, H, L, D].

    The result lies in memory as [B, L, H, D], and q, k and v are not copied if they share their strides. Rows of
    padded queries are 0 and give no gradient. What the kernels cannot take, :func:`unsupported` tells.
    """
    tensors = [t.to(q.dtype) for t in (q, k, v, pack_k, pack_v)]
    coefficients = None if slopes is None else torch.stack(slopes.coefficients())
    where, extent = places(q, positions, padding_mask) if token_places is None else token_places
    # 64 bits a query, so that no two of a batch's hundreds of thousands drop alike
    words = torch.randint(2**62, q.shape[:3], device=q.device) if dropout_p > 0 else None
    learned = tensors if coefficients is None else [*tensors, coefficients]
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in learned)
    result: Tensor = _forward(*tensors, coefficients, where, extent, words, block_size, dropout_p, keep)[0]
    return result


def unsupported(
    head_width: int, block_size: int, dropout_p: float, device: torch.device, dtype: torch.dtype
) -> str | None:
    """What the kernels need and such arguments lack, as the end of a sentence; None if nothing."""
    if not INTERPRETED:
        if device.type != "cuda":
            return f"needs a CUDA device, not {device.type}"
        properties = torch.cuda.get_device_properties(device)  # a constant to torch.compile
        if (properties.major, properties.minor) < MIN_CAPABILITY:
            return "needs a device of compute capability {}.{} or more".format(*MIN_CAPABILITY)
        if dtype not in TYPES or dtype == torch.float64:
            return f"needs float16, bfloat16 or float32, not {str(dtype).removeprefix('torch.')}"
    if head_width > MAX_HEAD_WIDTH:
        return f"needs heads of width {MAX_HEAD_WIDTH} at most, not {head_width}"
    if block_size not in BLOCK_SIZES:
        return f"needs a block size of {', '.join(map(str, BLOCK_SIZES))}, not {block_size}"
    if not 0 <= dropout_p < 1:
        return f"needs dropout of at least 0 and below 1, not {dropout_p}"
    return None


def warm_up(
    heads: int,
    head_width: int,
    pack_size: int,
    block_size: int,
    dtype: torch.dtype,
    device: torch.device | str,
    dropout_p: float = 0.0,
    has_slopes: bool = True,
) -> None:
    """Compiles all that layers of such sizes run in training and validation, with and without padding.

    A kernel takes seconds; later batches, of whatever lengths, compile nothing, as must be where a graph is captured.

    Args:
        heads, head_width, pack_size, block_size: H, D, S and b.
        dtype, device: of the queries.
        dropout_p: in training.
        has_slopes: whether the layers have a BiALiBi.
    """

    def random(length: int) -> Tensor:  # as layers lay them out
        t = torch.randn(1, length, heads, head_width, dtype=dtype, device=device)
        return t.transpose(1, 2).requires_grad_()

    L = block_size + 1  # with keys past block 0
    q, k, v, pack_k, pack_v = (random(length) for length in (L, L, L, pack_size, pack_size))
    slopes = BiALiBi(heads).to(device) if has_slopes else None
    for padding in (None, torch.zeros(1, L, dtype=torch.bool, device=device)):
        with torch.no_grad():
            triton_unpack_window_attention(q, k, v, pack_k, pack_v, slopes, None, padding, block_size)
        result = triton_unpack_window_attention(q, k, v, pack_k, pack_v, slopes, None, padding, block_size, dropout_p)
        result.sum().backward()


def _rest(q: Tensor, keep: bool) -> Tensor:
    """Room for what rounding to half precision leaves out of the result; none where nobody asks."""
    return empty_as_result(q) if keep and q.itemsize == 2 else q.new_empty(0)


@torch.library.custom_op(
    "fairseq_littlebird::unpack_window",
    mutates_args=(),
    schema="(Tensor q, Tensor k, Tensor v, Tensor pack_k, Tensor pack_v, Tensor? slopes, Tensor places, "
    "Tensor? extent, Tensor? words, int block_size, float dropout_p, bool keep) -> (Tensor, Tensor, Tensor)",
)
def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor,
    pack_v: Tensor,
    slopes: Tensor | None,
    places: Tensor,
    extent: Tensor | None,
    words: Tensor | None,
    block_size: int,
    dropout_p: float,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The result <float>[B, H, L, D]; log-sums of the scores, of base 2, <float32 or wider>[B, H, L]; and the rest.

    The latter, of the result's size, is what half precision leaves out of it; empty where ``keep`` is false.
    """
    (B, H, L, D), S = q.shape, pack_k.shape[2]
    q, k, v = alike(q, k, v)
    pack_k, pack_v = alike(pack_k, pack_v)
    unit, strides = in_units(q, pack_k)
    tile = tiles(D, block_size, q.dtype.itemsize)["forward"]
    result, rest = empty_as_result(q), _rest(q, keep)
    log_sum = q.new_empty(B, H, L, dtype=wide(q))
    with torch.cuda.device_of(q):
        forward_kernel[(B * H * triton.cdiv(L, tile.queries),)](
            q, k, v, pack_k, pack_v, slopes, places, extent, words, result, rest if rest.numel() else None, log_sum,
            *strides, of_sequences(places), H, L, S, D**-0.5, 1 / (1 - dropout_p),
            **constants(q, block_size, dropout_p, "forward", unit),
        )  # fmt: skip
    return result, log_sum, rest


@_forward.register_fake
def _(q: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    return empty_as_result(q), q.new_empty(q.shape[:3], dtype=wide(q)), _rest(q, others[-1])


@torch.library.custom_op(
    "fairseq_littlebird::unpack_window_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor result, Tensor log_sum, Tensor rest, Tensor q, Tensor k, Tensor v, Tensor pack_k, "
    "Tensor pack_v, Tensor? slopes, Tensor places, Tensor? extent, Tensor? words, int block_size, float dropout_p) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _backward(*inputs: Any) -> Gradients:
    """Gradients of q, k, v, pack_k, pack_v and of the slopes, <float>[3, H] (of nothing, if there are none)."""
    return BACKWARDS[BACKWARD](BackwardInputs(*inputs))


@_backward.register_fake
def _(grad: Tensor, result: Tensor, log_sum: Tensor, rest: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
    q, k, v, pack_k, pack_v, slopes = inputs[:6]
    dpack = (torch.empty_like(t, memory_format=torch.contiguous_format) for t in (pack_k, pack_v))
    dslopes = log_sum.new_empty(0) if slopes is None else torch.empty_like(slopes)
    return *(empty_as_result(t) for t in (q, k, v)), *dpack, dslopes


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, ctx.block_size, ctx.dropout_p, _ = inputs
    ctx.save_for_backward(*output, *tensors)
    ctx.mark_non_differentiable(*output[1:])


def _differentiate(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    gradients = _backward(grad, *ctx.saved_tensors, ctx.block_size, ctx.dropout_p)
    dslopes = None if ctx.saved_tensors[8] is None else gradients[5]
    return *gradients[:5], dslopes, None, None, None, None, None, None


_forward.register_autograd(_differentiate, setup_context=_save)
