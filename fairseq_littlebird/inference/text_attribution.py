"""Which parts of a text a classifier's output depends on: gradient × input, by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LONGEST_PART = 96
"""Tokens; what has no sentence end for so long is several parts."""


@dataclass(frozen=True)
class AttributedPart:
    """A sentence, or a part of one.

    Args:
        text: what it says; empty for the special tokens.
        weight: the sum over its tokens of gradient · embedding, signed.
        tokens: how many it has.
    """

    text: str
    weight: float
    tokens: int


@dataclass(frozen=True)
class TextAttribution:
    """The parts of a text and what they add to an output.

    Args:
        output: the name of what is explained: a label or ``score``.
        value: of the output: the log odds of the label, or the score.
        total: the sum over all tokens of gradient · embedding, computed as one: the rate at which ``value`` changes
            as all token embeddings of the text are scaled together.
        parts: in the order of the text, special tokens in parts of their own; their weights sum to ``total``.
        second: the index of the first part of the second text of a pair; None where there is none.
    """

    output: str
    value: float
    total: float
    parts: tuple[AttributedPart, ...]
    second: int | None = None

    @property
    def difference(self) -> float:
        """How far the parts' sum is from ``total``: rounding alone."""
        return abs(sum(part.weight for part in self.parts) - self.total)


def part_bounds(ends: Sequence[bool] | np.ndarray, special: Sequence[bool] | np.ndarray) -> list[tuple[int, int]]:
    """[start, stop) of the parts of a text.

    A part ends behind a run of sentence ends, before and behind special tokens, and after ``LONGEST_PART`` tokens.

    Args:
        ends: bool [L], whether a token ends a sentence.
        special: bool [L].
    """
    bounds, start = [], 0
    for index in range(len(ends)):
        last = index + 1 == len(ends)
        closing = bool(ends[index]) and not (not last and ends[index + 1])
        beside = special[index] or (not last and special[index + 1])
        if last or closing or beside or index + 1 - start >= LONGEST_PART:
            bounds.append((start, index + 1))
            start = index + 1
    return bounds
