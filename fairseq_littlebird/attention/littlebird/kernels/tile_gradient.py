"""The gradient of one tile of scores."""

from __future__ import annotations

import triton
import triton.language as tl

from fairseq_littlebird.attention.littlebird.kernels.dropout import is_kept


@triton.jit
def gradient_of_scores(scores, log_sum, dp, delta, low, factor, slot, keep_scale, THRESHOLD: tl.constexpr):
    """p, p after dropout (short of its scale), and the gradient of scores of natural base."""
    p = tl.exp2(scores - log_sum)
    dropped = p
    if THRESHOLD > 0:
        kept = is_kept(low, factor, slot, THRESHOLD)
        dropped = tl.where(kept, p, 0.0)
        dp = tl.where(kept, dp * keep_scale, 0.0)
    return p, dropped, p * (dp - delta)
