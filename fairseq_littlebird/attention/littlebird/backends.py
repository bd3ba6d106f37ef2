"""Unpack and sliding-window attention (USWAttn, section 3.3): one file a backend, chosen by name."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.littlebird.bialibi import BiALiBi
from fairseq_littlebird.attention.littlebird.blockwise import blockwise_unpack_window_attention
from fairseq_littlebird.attention.littlebird.dense import dense_unpack_window_attention
from fairseq_littlebird.attention.littlebird.distance_features import DistanceFeatures, distance_features
from fairseq_littlebird.attention.littlebird.token_places import TokenPlaces
from fairseq_littlebird.attention.littlebird.unfolded import unfolded_unpack_window_attention
from fairseq_littlebird.exporting import is_exporting
from fairseq_littlebird.input_error import InputError

BACKENDS = ("auto", "blockwise", "unfolded", "dense", "flex", "triton")
HAS_TRITON = find_spec("triton") is not None


class BackendError(InputError):
    """A backend that there is not, or that cannot serve the arguments."""


def unpack_window_attention(
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
    backend: str = "auto",
    features: DistanceFeatures | TokenPlaces | None = None,
) -> Tensor:
    """One softmax over [pack; global block; left, own and right block], biased by BiALiBi.

    Args:
        q, k, v: <float>[B, H, L, D], L ≥ 1.
        pack_k, pack_v: <float>[B, H, S, D], S ≥ 0; keys and values of C_P.
        slopes: the layer's BiALiBi; None leaves out the bias (an ablation).
        positions: <integer>[B, L], non-decreasing, or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b ≥ 1; no length needs to be a multiple of it.
        dropout_p: dropout of the attention probabilities.
        backend: one of ``BACKENDS``; ``dense`` is the quadratic reference. ``auto`` is ``blockwise`` on a CPU, and
            elsewhere ``triton`` where it can be used, otherwise ``unfolded``; under torch.export always ``unfolded``.
        features: :func:`window_features` of these positions, which a model makes once for all its layers.
    Returns:
        <float>[B, H, L, D]; 0 for a query with every key masked; undefined for padded queries.
    Raises:
        BackendError: an unknown backend, or one that cannot serve these arguments; the text says why.
    """
    check_length(q.shape[2])
    arguments = (q, k, v, pack_k, pack_v, slopes, positions, padding_mask, block_size, dropout_p)
    kind = (q.shape[-1], block_size, dropout_p, q.device, q.dtype)
    if backend == "auto":
        if is_exporting():
            backend = "unfolded"
        elif q.device.type == "cpu":
            backend = "blockwise"
        else:
            backend = "triton" if backend_fault("triton", *kind) is None else "unfolded"
    fault = backend_fault(backend, *kind)
    if fault is not None:
        raise BackendError(fault)
    if backend == "triton":
        from fairseq_littlebird.attention.littlebird.triton import triton_unpack_window_attention

        known = features if isinstance(features, TokenPlaces) else None
        return triton_unpack_window_attention(*arguments, token_places=known)
    if backend == "flex":
        from fairseq_littlebird.attention.littlebird.flex import flex_unpack_window_attention

        return flex_unpack_window_attention(*arguments)
    if backend == "dense":
        return dense_unpack_window_attention(*arguments)[0]
    if backend == "unfolded":
        return unfolded_unpack_window_attention(*arguments)
    shared = features if isinstance(features, DistanceFeatures) else None
    return blockwise_unpack_window_attention(*arguments, features=shared)


def window_features(
    like: Tensor,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    pack_size: int,
    backend: str = "auto",
) -> DistanceFeatures | TokenPlaces | None:
    """What layers share of the bias, where the backend has a use for it; see :func:`distance_features`, and for
    ``triton`` :func:`kernels.places.places`."""
    chosen = backend == "auto" and not is_exporting()
    if backend == "blockwise" or (chosen and like.device.type == "cpu"):
        return distance_features(like, positions, padding_mask, block_size, pack_size)
    if HAS_TRITON and (backend == "triton" or (chosen and like.device.type == "cuda")):
        from fairseq_littlebird.attention.littlebird.kernels.places import places

        return places(like, positions, padding_mask)
    return None


def backend_fault(
    backend: str,
    head_width: int,
    block_size: int,
    dropout_p: float,
    device: torch.device,
    dtype: torch.dtype,
    gradients: bool = False,
) -> str | None:
    """Why a backend cannot serve such arguments, and give ``gradients``, in one line; None if it can."""
    if backend not in BACKENDS:
        return f"attention backend {backend!r} is not one of {', '.join(BACKENDS)}"
    reason = None
    if backend == "flex":
        from fairseq_littlebird.attention.littlebird.flex import has_gradients

        reason = "has no dropout" if dropout_p else None
        if gradients and not has_gradients(device):
            reason = f"has no gradients on {device.type}"
    elif backend == "triton" and not HAS_TRITON:
        reason = "needs the package triton, which is not installed"
    elif backend == "triton":
        from fairseq_littlebird.attention.littlebird.triton import unsupported

        reason = unsupported(head_width, block_size, dropout_p, device, dtype)
    return None if reason is None else f"attention backend {backend!r} {reason}"
