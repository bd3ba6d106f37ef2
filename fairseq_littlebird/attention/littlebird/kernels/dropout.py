"""Dropout of probabilities from random words a query; nothing of it is kept for the backward pass."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def row_words(seed_ptr, query, row):
    """A random word a query of the sequence and head ``row``: Philox with the counter (query, row)."""
    zero = query * 0
    word, _, _, _ = tl.philox(tl.load(seed_ptr), query, zero + row, zero, zero)
    return word.to(tl.uint32)


@triton.jit
def is_kept(words, slot, THRESHOLD: tl.constexpr):
    """Which probabilities dropout keeps: SplitMix, a stream a query, whose state at a slot needs no other slot's.

    Philox for each probability would take several times the attention's own arithmetic. The mixing constants are
    those of C. Wellons' hash prospector.
    """
    state = words + slot.to(tl.uint32) * 0x9E3779B9
    state = (state ^ (state >> 16)) * 0x21F0AAAD
    state = (state ^ (state >> 15)) * 0xD35A2D97
    return (state ^ (state >> 15)) >= THRESHOLD
