"""Unpack and sliding-window attention (USWAttn, section 3.3): one file a backend, chosen by name."""

from __future__ import annotations

from torch import Tensor

from fairseq_littlebird.attention.bialibi import BiALiBi
from fairseq_littlebird.attention.dense import dense_unpack_window_attention
from fairseq_littlebird.attention.unpack_window.blockwise import blockwise_unpack_window_attention

BACKENDS = ("auto", "blockwise", "dense")


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
    Returns:
        <float>[B, H, L, D]; a row with every key masked is 0.
    Raises:
        ValueError: an unknown backend.
    """
    arguments = (q, k, v, pack_k, pack_v, slopes, positions, padding_mask, block_size, dropout_p)
    if backend in ("auto", "blockwise"):
        return blockwise_unpack_window_attention(*arguments)
    if backend == "dense":
        return dense_unpack_window_attention(*arguments)[0]
    raise ValueError(f"attention backend {backend!r} is not one of {', '.join(BACKENDS)}")
