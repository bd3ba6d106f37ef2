"""A piece of a document, with its question, as the model reads it."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    tokens: np.ndarray
    context_start: int
    offsets: np.ndarray
    spans: list[tuple[int, int]]
    example: int
