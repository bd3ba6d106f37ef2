"""Scores of a tile, by the kind of its keys; all arguments broadcast to <float>[queries, keys], or to its transpose."""

from __future__ import annotations

import triton
import triton.language as tl

from fairseq_littlebird.attention.littlebird.kernels.common import LOG2_E


@triton.jit
def packed_scores(products, cost, scale):
    return products * (scale * LOG2_E) - cost


@triton.jit
def zero_scores(products, r, cost, is_zero, alpha, beta, scale, HAS_SLOPES: tl.constexpr):
    """Of block 0 to queries past it: all keys are on their left, and token 0 has its own bias."""
    scores = products * (scale * LOG2_E) - cost
    if HAS_SLOPES:
        scores -= tl.where(is_zero, alpha, beta * r)
    return scores


@triton.jit
def side_scores(products, r, cost, slope, scale, HAS_SLOPES: tl.constexpr):
    """Of a block that lies on one side: ``slope`` is β on the left and -γ on the right."""
    scores = products * (scale * LOG2_E) - cost
    if HAS_SLOPES:
        scores -= slope * r
    return scores


@triton.jit
def token_scores(products, r, cost, is_edge, alpha, beta, gamma, scale, HAS_SLOPES: tl.constexpr):
    """Of any tokens; ``is_edge`` between token 0 and others."""
    scores = products * (scale * LOG2_E) - cost
    if HAS_SLOPES:
        scores -= tl.where(is_edge, alpha, tl.where(r > 0, beta, -gamma) * r)
    return scores
