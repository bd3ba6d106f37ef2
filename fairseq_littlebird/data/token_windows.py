"""Windows over texts, in which every token is predicted in exactly one of them.

Legend: D texts, N windows, L length of a window, S stride.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class TokenWindows(NamedTuple):
    """Windows [start, stop) of a token stream, of which the tokens [first, stop) are predicted.

    Args:
        starts, firsts, stops: int64[N].
        opening: bool[N], whether a window begins where its text does.
    """

    starts: np.ndarray
    firsts: np.ndarray
    stops: np.ndarray
    opening: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """int64[N], tokens of each."""
        return self.stops - self.starts


def token_windows(documents: np.ndarray, length: int, stride: int) -> TokenWindows:
    """Windows of L tokens, S further each; of a text's first one all tokens are predicted, of the others the last S.

    With S = L they are blocks side by side. The last window of a text, which ends with it, may be shorter than L.

    Args:
        documents: int64[D, 2], first token and end of each text, none of them empty.
        length: L.
        stride: S from 1 to L.
    """
    begins, ends = documents[:, 0], documents[:, 1]
    counts = 1 + -(-np.maximum(ends - begins - length, 0) // stride)
    begin, end = np.repeat(begins, counts), np.repeat(ends, counts)
    number = np.arange(len(begin)) - np.repeat(np.cumsum(counts) - counts, counts)  # within its text
    starts = begin + number * stride
    firsts = np.where(number == 0, begin, starts + length - stride)
    return TokenWindows(starts, firsts, np.minimum(starts + length, end), number == 0)
