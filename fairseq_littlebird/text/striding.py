"""Overlapping windows over a context that is too long for one; or a context cut to fit one."""

from __future__ import annotations

from collections.abc import Sequence

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.window_ranges import window_ranges


def windows(length: int, room: int, stride: int) -> list[tuple[int, int]]:
    """[start, stop) token ranges that cover a context of ``length`` tokens.

    Every token is in a window, every window but the last holds ``room`` tokens, the last ends with the
    context, and none lies inside another.

    Args:
        length: context tokens.
        room: the most context tokens that a window holds.
        stride: tokens from one window's start to the next one's.

    Raises:
        UserError: ``stride`` is not in 1 ... ``room``: more would skip tokens.
    """
    if not 1 <= stride <= room:
        raise UserError(
            f"a stride of {stride} tokens over windows with room for {room} context tokens",
            remedy=f"choose a stride between 1 and {max(room, 1)}, so that no token is skipped",
        )
    return window_ranges(length, room, stride)


def cut_longest(lengths: Sequence[int], room: int) -> list[int]:
    """How much of each part to keep so that all together fit: the longest are cut, to the same length.

    Args:
        lengths: of the parts, in tokens.
        room: the most that may be kept together.
    """
    low, high = 0, max(lengths, default=0)
    while low < high:  # the greatest length at which all fit
        middle = (low + high + 1) // 2
        if sum(min(length, middle) for length in lengths) <= room:
            low = middle
        else:
            high = middle - 1
    return [min(length, low) for length in lengths]
