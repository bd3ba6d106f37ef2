"""Overlapping windows over a context, as ranges of its tokens; what an exported model needs of them, too."""

from __future__ import annotations


def window_ranges(length: int, room: int, stride: int) -> list[tuple[int, int]]:
    """[start, stop) token ranges that cover a context; see :func:`fairseq_littlebird.text.striding.windows`.

    Args:
        length: context tokens.
        room: the most context tokens that a window holds.
        stride: tokens from one window's start to the next one's, 1 to ``room``.
    """
    if length <= 0:
        return []
    last = -(-max(length - room, 0) // stride)
    return [(i * stride, min(i * stride + room, length)) for i in range(last + 1)]


def fitting_stride(room: int, max_tokens: int, stride: int) -> int:
    """The stride where a question leaves so much room; 0 where that is less than an eighth of a window.

    Args:
        room: context tokens that a window holds beside the question.
        max_tokens: the most tokens in a window.
        stride: taken where there is room for it; otherwise half the room is.
    """
    if room < max(1, max_tokens // 8):
        return 0
    return stride if stride <= room else max(1, room // 2)
