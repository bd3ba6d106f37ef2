"""A piece of a document, with its question, as the model reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Window:
    """One model input.

    Args:
        tokens: int64[L], ``<s> [QUESTION] question </s> context </s>``.
        context_start: index in ``tokens`` of the first context token.
        offsets: int64[n, 2], [start, end) character in the document of each context token.
        spans: first and last index in ``tokens``, inclusive, of each answer that lies wholly in here.
        example: index of the example that the window belongs to.
        positions: int64[L], position ids with the gaps between paragraphs, or None for 0 ... L-1.
        segments: int64[m, 2], first and last index in ``tokens``, inclusive, of each segment wholly in here.
        segment_ids: int64[m], their indices among the example's segments.
        gold_segments: bool[m].
        answer_type: the example's kind of answer, an index of its data set's kinds; -1 where it has none.
    """

    tokens: np.ndarray
    context_start: int
    offsets: np.ndarray
    spans: list[tuple[int, int]]
    example: int
    positions: np.ndarray | None = None
    segments: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    segment_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    gold_segments: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    answer_type: int = -1
