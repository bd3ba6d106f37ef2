"""From the places that a tokenizer tells of its tokens to the characters that they were made of.

A normalizer changes the text before it becomes tokens, and libraries tell only some of the characters that a
token was made of: of a decomposed Hangul syllable the first jamo, of a letter with its accent the letter
(huggingface/tokenizers#1201).

Legend: n characters, t tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairseq_littlebird.text.graphemes import grapheme_starts

LONGEST = 32
"""Characters. A longer grapheme occurs in no writing: tokens that meet inside it cover all of it."""


class OffsetFitter:
    """Exact offsets for the tokens of one tokenizer.

    A seam is a place where the normalizer makes the same of a text whether it is cut there or not. A token reaches from
    seam to seam.

    Args:
        normalize: what the tokenizer makes of a text before it splits it; None for nothing.
    """

    def __init__(self, normalize: Callable[[str], str] | None = None) -> None:
        self._normalize = normalize
        self._deletes: dict[str, bool] = {}
        self._seams: dict[str, tuple[int, ...]] = {}

    def fit(self, text: str, begins: np.ndarray, ends: np.ndarray) -> list[tuple[int, int]]:
        """[start, end) of each token, as the head of this package describes them.

        Args:
            text: not empty, without lone surrogates.
            begins: int64[t], the first character of each token, as the tokenizer tells it.
            ends: int64[t], the character after its last.
        """
        # an empty token stands before those that follow it, whichever side of white space it was told at
        later = np.minimum.accumulate(begins[::-1])[::-1]
        begins, ends = np.where(begins == ends, later, begins), np.where(begins == ends, later, ends)
        starts = grapheme_starts(text)
        blank = self._blank(text, starts)
        begins, ends, solid = _trimmed(begins, ends, blank)
        ends = np.where(solid, _with_rest_of_grapheme(begins, ends, starts), ends)
        if self._normalize is not None:
            back, forth = self._to_seams(text, starts, np.concatenate([begins[solid], ends[solid]]))
            begins, ends = np.where(solid, back[begins], begins), np.where(solid, forth[ends], ends)
        begins = np.maximum.accumulate(begins)
        ends = np.maximum(np.maximum.accumulate(ends), begins)
        if self._normalize is not None:
            self._claim(text, begins, ends, blank)
        return list(zip(begins.tolist(), ends.tolist(), strict=True))

    def _blank(self, text: str, starts: np.ndarray) -> np.ndarray:
        """White space, and what the normalizer deletes unless it continues a grapheme: bool[n]."""
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        # tables by code point: sorting the characters of a long text would take longer than all else here
        is_space, is_deleted = np.zeros((2, int(codes.max()) + 1), dtype=bool)
        for c in set(text):
            is_space[ord(c)] = c.isspace()
            is_deleted[ord(c)] = self._is_deleted(c)
        return is_space[codes] | is_deleted[codes] & starts

    def _is_deleted(self, character: str) -> bool:
        if self._normalize is None:
            return False
        if character not in self._deletes:
            self._deletes[character] = not self._made_of(character)
        return self._deletes[character]

    def _made_of(self, text: str) -> str:
        """What the normalizer makes of a text, without white space and what some put in its place or before a text."""
        made = self._normalize(text) if self._normalize is not None else text
        return made.replace(" ", "").replace("\u2581", "" if text != "\u2581" else "\u2581")

    def _is_seam(self, left: str, right: str) -> bool:
        return self._made_of(left + right) == self._made_of(left) + self._made_of(right)

    def _to_seams(self, text: str, starts: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each character the nearest seam before it, and after it: int64[n + 1] both.

        Args:
            text: of n characters.
            starts: bool[n], where graphemes start; these are seams.
            bounds: where tokens start or end; other places inside graphemes are never asked for.
        """
        n = len(text)
        back, forth = np.arange(n + 1), np.arange(n + 1)
        inside = np.unique(bounds[(bounds < n) & ~np.append(starts, True)[bounds]])
        if len(inside):
            edges = np.append(np.flatnonzero(starts), n)
            which = np.searchsorted(edges, inside, side="right") - 1
            for place, first, stop in zip(
                inside.tolist(), edges[which].tolist(), edges[which + 1].tolist(), strict=True
            ):
                seams = self._seams_of(text[first:stop])
                back[place] = max(first + seam for seam in seams if first + seam <= place)
                forth[place] = min(first + seam for seam in seams if first + seam >= place)
        return back, forth

    def _seams_of(self, grapheme: str) -> tuple[int, ...]:
        if len(grapheme) > LONGEST:
            return 0, len(grapheme)
        if grapheme not in self._seams:
            inner = (i for i in range(1, len(grapheme)) if self._is_seam(grapheme[:i], grapheme[i:]))
            self._seams[grapheme] = 0, *inner, len(grapheme)
        return self._seams[grapheme]

    def _claim(self, text: str, begins: np.ndarray, ends: np.ndarray, blank: np.ndarray) -> None:
        """Extends tokens, in place, to what no token covers though the normalizer made one of it and what they cover.

        Graphemes apart: two compatibility jamo become a syllable, two quotation marks one.
        """
        n = len(text)
        depth = np.bincount(begins, minlength=n + 1) - np.bincount(ends, minlength=n + 1)
        missing = np.concatenate([[False], (depth.cumsum()[:n] == 0) & ~blank, [False]])
        edges = np.flatnonzero(missing[1:] != missing[:-1])
        for first, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            before = slice(*np.searchsorted(ends, [first, first + 1]))
            after = slice(*np.searchsorted(begins, [stop, stop + 1]))
            here = text[first:stop]
            if before.start < before.stop and not self._is_seam(_last(text, int(begins[before][-1]), first), here):
                ends[before] = stop
            elif after.start < after.stop and not self._is_seam(here, text[stop : int(ends[after][0])][:LONGEST]):
                begins[after] = first


def without_blanks(text: str, start: int, end: int) -> tuple[int, int]:
    """A span of a text without the white space at its ends, of which there are tokens: runs of spaces, ends of lines.

    Args:
        text: any.
        start, end: characters, ``end`` not included.
    Returns:
        twice the same where it is white space alone.
    """
    span = text[start:end]
    start = end - len(span.lstrip())
    return start, start + len(span.strip())


def _last(text: str, start: int, stop: int) -> str:
    return text[max(start, stop - LONGEST) : stop]


def _trimmed(begins: np.ndarray, ends: np.ndarray, blank: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens without blanks at their ends, and which hold more than blanks; others keep theirs."""
    n = len(blank)
    position = np.arange(n)
    next_solid = np.append(np.minimum.accumulate(np.where(blank, n, position)[::-1])[::-1], n)
    last_solid = np.append(0, np.maximum.accumulate(np.where(blank, 0, position + 1)))
    solid = next_solid[begins] < last_solid[ends]
    return np.where(solid, next_solid[begins], begins), np.where(solid, last_solid[ends], ends), solid


def _with_rest_of_grapheme(begins: np.ndarray, ends: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The ends of tokens, moved to the end of their last grapheme or to the next token in it: int64[t]."""
    n = len(starts)
    next_start = np.append(np.minimum.accumulate(np.where(starts, np.arange(n), n)[::-1])[::-1], n)
    following = np.append(begins, n)[np.searchsorted(begins, ends)]
    return np.maximum(ends, np.minimum(next_start[ends], following))
