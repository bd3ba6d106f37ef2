"""Arguments of causal window attention that do not fit together."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fairseq_littlebird.attention.common.length import check_length


def check_arguments(
    q: Tensor, k: Tensor, windows: Sequence[int], dilations: Sequence[int], bias: Tensor | None
) -> None:
    """Raises ValueError: see :func:`dense_causal_window_attention` for what fits."""
    (B, H, Q, _), K = q.shape, k.shape[2]
    check_length(Q)
    if K < Q:
        raise ValueError(f"{Q} queries are the last of {K} tokens")
    if len(windows) != H or len(dilations) != H:
        raise ValueError(f"{len(windows)} windows and {len(dilations)} dilations do not fit {H} heads")
    if min(windows) < 0 or min(dilations) < 1:
        raise ValueError(f"windows {tuple(windows)} or dilations {tuple(dilations)} are not positive")
    if bias is not None and (tuple(bias.shape[:3]) not in ((1, H, 1), (B, H, Q)) or bias.shape[3] <= max(windows)):
        shape = tuple(bias.shape)
        raise ValueError(f"a bias of {shape} fits neither {(1, H, 1, max(windows) + 1)} nor {(B, H, Q, '…')}")
