"""Dropout of probabilities from a random word a query; nothing of it is kept for the backward pass."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def row_words(pointer, query, L):
    """Each query's two halves of its word, the second odd."""
    word = tl.load(pointer + query, mask=query < L, other=0)
    return word.to(tl.uint32), (word >> 31).to(tl.uint32) | 1


@triton.jit
def is_kept(low, factor, slot, THRESHOLD: tl.constexpr):
    """Which probabilities dropout keeps: SplitMix, a stream a query, whose state at a slot needs no other slot's.

    Among hundreds of thousands of queries some share one half of their words, or have halves a few slots apart; the
    other half, the factor of the first round of mixing, keeps their masks apart. A generator's own word for each
    probability would take several times the attention's arithmetic. The constant of the second round is one of those
    of C. Wellons' hash prospector.
    """
    state = low + slot.to(tl.uint32) * 0x9E3779B9
    state = (state ^ (state >> 16)) * factor
    state = (state ^ (state >> 15)) * 0xD35A2D97
    return (state ^ (state >> 15)) >= THRESHOLD
