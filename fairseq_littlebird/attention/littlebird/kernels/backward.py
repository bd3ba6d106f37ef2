"""The backward pass, by the kernels of queries and of keys, or by the one that makes every tile's scores once.

Both ways take and return the same: gradients of q, k, v, pack_k, pack_v and of the slopes, <float>[3, H] (of nothing,
if there are none).

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from fairseq_littlebird.attention.littlebird.kernels.fused_backward import delta_kernel, fused_backward_kernel
from fairseq_littlebird.attention.littlebird.kernels.keys_backward import PACKED, WINDOW, ZERO, keys_backward_kernel
from fairseq_littlebird.attention.littlebird.kernels.launch import chunk_length, constants, of_sequences, tiles
from fairseq_littlebird.attention.littlebird.kernels.queries_backward import queries_backward_kernel
from fairseq_littlebird.attention.littlebird.kernels.strides import alike, as_result, empty_as_result, in_units

Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class BackwardInputs(NamedTuple):
    """The gradient of the result, what the forward pass gave, and what it was given."""

    grad: Tensor  # <float>[B, H, L, D]
    result: Tensor  # <float>[B, H, L, D]
    log_sum: Tensor  # of the scores, of base 2, <float32 or wider>[B, H, L]
    rest: Tensor | None  # what half precision leaves out of the result, in its shape; or nothing
    q: Tensor  # <float>[B, H, L, D]
    k: Tensor
    v: Tensor
    pack_k: Tensor  # <float>[B, H, S, D]
    pack_v: Tensor
    slopes: Tensor | None  # <float>[3, H]
    places: Tensor  # this and the rest as the forward kernel's
    extent: Tensor | None
    words: Tensor | None
    block_size: int
    dropout_p: float


def _aligned(given: BackwardInputs) -> BackwardInputs:
    """With strides that the kernels take, and None for an empty rest."""
    q, k, v = alike(given.q, given.k, given.v)
    pack_k, pack_v = alike(given.pack_k, given.pack_v)
    rest = given.rest if given.rest is not None and given.rest.numel() else None
    return given._replace(grad=as_result(given.grad), rest=rest, q=q, k=k, v=v, pack_k=pack_k, pack_v=pack_v)


def separate_backward(given: BackwardInputs) -> Gradients:
    """One kernel for queries and one for keys, each of which makes all scores."""
    grad, result, log_sum, rest, q, k, v, pack_k, pack_v, *where, b, dropout_p = _aligned(given)
    (B, H, L, D), S = q.shape, pack_k.shape[2]
    unit, strides = in_units(q, pack_k)
    tile = tiles(D, b, q.dtype.itemsize)
    N, query_tiles = tile["keys"].keys, triton.cdiv(L, tile["queries"].queries)
    chunk = chunk_length(L, B * H * triton.cdiv(b, N), q.device)
    chunks = triton.cdiv(L, chunk)
    dq, dk, dv = (empty_as_result(t) for t in (q, k, v))
    delta = torch.empty_like(log_sum)
    dpack_k, dpack_v = log_sum.new_empty(2, chunks, B, H, S, D)
    dzero_k, dzero_v = log_sum.new_empty(2, chunks, B, H, min(b, L), D)
    dslopes = log_sum.new_empty(B, H, query_tiles, 3)
    sizes = (*strides, of_sequences(given.places), H, L, S)
    scales = (D**-0.5, 1 / (1 - dropout_p))
    of_queries, of_keys = (constants(q, b, dropout_p, name, unit) for name in ("queries", "keys"))

    def keys_backward(programs: int, keys: int, k: Tensor, v: Tensor, dk: Tensor, dv: Tensor) -> None:
        if programs:
            keys_backward_kernel[(programs,)](
                q, k, v, *where, log_sum, grad, delta, dk, dv, *sizes, chunk, *scales, **of_keys, KEYS=keys
            )

    with torch.cuda.device_of(q):
        queries_backward_kernel[(B * H * query_tiles,)](
            q, k, v, pack_k, pack_v, *where, result, rest, log_sum, grad, delta, dq, dslopes,
            *sizes, *scales, **of_queries,
        )  # fmt: skip
        keys_backward(chunks * B * H * triton.cdiv(S, N), PACKED.value, pack_k, pack_v, dpack_k, dpack_v)
        keys_backward(chunks * B * H * triton.cdiv(min(b, L), N), ZERO.value, k, v, dzero_k, dzero_v)
        keys_backward(B * H * triton.cdiv(max(L - b, 0), N), WINDOW.value, k, v, dk, dv)
    return _summed(q, given.slopes, b, dq, dk, dv, dpack_k, dpack_v, dzero_k, dzero_v, dslopes)


def fused_backward(given: BackwardInputs) -> Gradients:
    """One kernel, which makes all scores once, and a float32 number more for each of q while it runs."""
    grad, result, log_sum, rest, q, k, v, pack_k, pack_v, *where, b, dropout_p = _aligned(given)
    (B, H, L, D), S = q.shape, pack_k.shape[2]
    unit, strides = in_units(q, pack_k)
    chunk = chunk_length(L, B * H, q.device)
    chunks = triton.cdiv(L, chunk)
    dq, dk, dv = (empty_as_result(t) for t in (q, k, v))
    delta, wide_dq = torch.empty_like(log_sum), log_sum.new_empty(B, L, H, D)
    sums = None if given.slopes is None else log_sum.new_empty(B, H, 4, L)
    dpack_k, dpack_v = log_sum.new_empty(2, chunks, B, H, S, D)
    dzero_k, dzero_v = log_sum.new_empty(2, chunks, B, H, min(b, L), D)
    dslopes = log_sum.new_empty(B, H, chunks, 3)
    kept = constants(q, b, dropout_p, "fused", unit)
    rows = {name: kept[name] for name in ("D", "M", "WIDTH", "WIDE")}
    with torch.cuda.device_of(q):
        delta_kernel[(B * H * triton.cdiv(L, kept["M"]),)](result, rest, grad, delta, H, L, **rows)
        fused_backward_kernel[(B * H * chunks,)](
            q, k, v, pack_k, pack_v, *where, log_sum, grad, delta, wide_dq, sums, dq, dk, dv,
            dpack_k, dpack_v, dzero_k, dzero_v, dslopes, *strides, of_sequences(given.places), H, L, S, chunk,
            D**-0.5, 1 / (1 - dropout_p), **kept,
        )  # fmt: skip
    return _summed(q, given.slopes, b, dq, dk, dv, dpack_k, dpack_v, dzero_k, dzero_v, dslopes)


def _summed(
    q: Tensor,
    slopes: Tensor | None,
    b: int,
    dq: Tensor,
    dk: Tensor,
    dv: Tensor,
    dpack_k: Tensor,
    dpack_v: Tensor,
    dzero_k: Tensor,
    dzero_v: Tensor,
    dslopes: Tensor,
) -> Gradients:
    """With the programs' shares of far keys and of slopes summed, in their order."""
    dk[:, :, :b], dv[:, :, :b] = dzero_k.sum(dim=0), dzero_v.sum(dim=0)
    of_slopes = dslopes.sum(dim=(0, 2)).T.contiguous()
    of_slopes = of_slopes.new_empty(0) if slopes is None else of_slopes.to(slopes.dtype)
    return dq, dk, dv, dpack_k.sum(dim=0).to(q.dtype), dpack_v.sum(dim=0).to(q.dtype), of_slopes
