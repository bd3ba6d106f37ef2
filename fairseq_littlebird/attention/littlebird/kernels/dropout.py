"""Dropout of probabilities from a random word a query; nothing of it is kept for the backward pass."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def row_words(pointer, query, L):
    """The two halves of each query's word."""
    word = tl.load(pointer + query, mask=query < L, other=0)
    return word.to(tl.uint32), (word >> 32).to(tl.uint32)


@triton.jit
def is_kept(low, high, slot, THRESHOLD: tl.constexpr):
    """Which probabilities dropout keeps: SplitMix, a stream a query, whose state at a slot needs no other slot's.

    Among hundreds of thousands of queries some share one half of their words, or have halves a few slots apart; what
    the other half adds between the two rounds of mixing keeps their masks apart. A generator's own word for each
    probability would take several times the attention's arithmetic. The mixing constants are those of C. Wellons'
    hash prospector.
    """
    state = low + slot.to(tl.uint32) * 0x9E3779B9
    state = (state ^ (state >> 16)) * 0x21F0AAAD + high
    state = (state ^ (state >> 15)) * 0xD35A2D97
    return (state ^ (state >> 15)) >= THRESHOLD
