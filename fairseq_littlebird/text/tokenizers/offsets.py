"""From the places that a tokenizer tells to the offsets that it should have told."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np


def fit_offsets(
    text: str, begins: np.ndarray, ends: np.ndarray, is_blank: Callable[[str], bool]
) -> list[tuple[int, int]]:
    """Token offsets without white space and deleted characters at the ends, with their combining marks."""
    n = len(text)
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    # tables by code point: sorting the characters of a long text would take longer than all else here
    is_mark, is_space = np.zeros((2, int(codes.max()) + 1), dtype=bool)
    for c in set(text):
        is_mark[ord(c)] = unicodedata.category(c).startswith("M")
        is_space[ord(c)] = not is_mark[ord(c)] and (c.isspace() or is_blank(c))
    marks, blank = is_mark[codes], is_space[codes]

    position = np.arange(n)
    next_solid = np.append(np.minimum.accumulate(np.where(blank, n, position)[::-1])[::-1], n)
    last_solid = np.append(0, np.maximum.accumulate(np.where(blank, 0, position + 1)))
    trimmed_begins, trimmed_ends = next_solid[begins], last_solid[ends]
    solid = trimmed_begins < trimmed_ends
    begins, ends = np.where(solid, trimmed_begins, begins), np.where(solid, trimmed_ends, ends)

    next_base = np.append(np.minimum.accumulate(np.where(marks, n, position)[::-1])[::-1], n)
    following = np.append(begins[1:], n)
    with_marks = np.minimum(next_base[ends], following)
    ends = np.where(solid & (with_marks > ends), with_marks, ends)

    begins = np.maximum.accumulate(begins)
    ends = np.maximum(np.maximum.accumulate(ends), begins)
    return list(zip(begins.tolist(), ends.tolist(), strict=True))
