"""Unpack and sliding-window attention (USWAttn, section 3.3): one file a backend, chosen by name."""

from __future__ import annotations

from torch import Tensor

from fairseq_littlebird.attention.bialibi import BiALiBi
from fairseq_littlebird.attention.dense import dense_unpack_window_attention
from fairseq_littlebird.attention.unpack_window.blockwise import (
    blockwise_unpack_window_attention,
    distance_features,
)
from fairseq_littlebird.attention.unpack_window.unfolded import unfolded_unpack_window_attention

BACKENDS = ("auto", "blockwise", "unfolded", "dense")


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
    features: Tensor | None = None,
) -> Tensor:
    """One softmax over [packed; global block; left, own and right block], biased by BiALiBi.

    Args:
        q, k, v: <float>[B, H, L, D], L ≥ 1.
        pack_k, pack_v: <float>[B, H, S, D], S ≥ 0; keys and values of C_P.
        slopes: the layer's BiALiBi; None leaves out the bias (an ablation).
        positions: <integer>[B, L], non-decreasing, or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b ≥ 1; no length needs to be a multiple of it.
        dropout_p: dropout of the attention probabilities.
        backend: one of ``BACKENDS``; ``dense`` is the quadratic reference.
        features: :func:`window_features` of these positions, which a model makes once for all its layers.
    Returns:
        <float>[B, H, L, D]; a row with every key masked is 0, and what stands at padding is undefined.
    Raises:
        ValueError: an unknown backend.
    """
    arguments = (q, k, v, pack_k, pack_v, slopes, positions, padding_mask, block_size, dropout_p)
    backend = choose_backend(backend, q)
    if backend == "blockwise":
        return blockwise_unpack_window_attention(*arguments, features=features)
    if backend == "unfolded":
        return unfolded_unpack_window_attention(*arguments)
    return dense_unpack_window_attention(*arguments)[0]


def window_features(
    like: Tensor,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    pack_size: int,
    backend: str = "auto",
) -> Tensor | None:
    """What layers share of the bias, where the backend has a use for it; see :func:`distance_features`."""
    if choose_backend(backend, like) != "blockwise":
        return None
    return distance_features(like, positions, padding_mask, block_size, pack_size)


def choose_backend(backend: str, like: Tensor) -> str:
    """What ``auto`` means for tensors like this one. Raises ValueError: an unknown backend."""
    if backend == "auto":
        return "blockwise" if like.device.type == "cpu" else "unfolded"
    if backend not in BACKENDS:
        raise ValueError(f"attention backend {backend!r} is not one of {', '.join(BACKENDS)}")
    return backend
