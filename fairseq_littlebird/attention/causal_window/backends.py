"""Causal window attention as the device computes it best."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fairseq_littlebird.attention.causal_window.blockwise import blockwise_causal_window_attention
from fairseq_littlebird.attention.causal_window.unfolded import unfolded_causal_window_attention


def causal_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    padding_mask: Tensor | None,
    windows: Sequence[int],
    dilations: Sequence[int],
    bias: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Arguments and result as :func:`dense_causal_window_attention`'s, <float>[B, H, Q, D].

    On a CPU one group of blocks after another; elsewhere all at once, by torch's fused kernels.
    """
    function = blockwise_causal_window_attention if q.device.type == "cpu" else unfolded_causal_window_attention
    return function(q, k, v, padding_mask, windows, dilations, bias, dropout_p)
