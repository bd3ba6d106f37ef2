"""Where the global tokens of a batch stand."""

from __future__ import annotations

from torch import Tensor


def global_index(global_tokens: Tensor, most: int) -> Tensor:
    """The positions of each sequence's global tokens in order, then those of other tokens, all different.

    Args:
        global_tokens: <bool>[B, L].
        most: G, the most that a sequence has.
    Returns:
        <int64>[B, G].
    """
    return global_tokens.byte().argsort(dim=1, descending=True, stable=True)[:, :most]
