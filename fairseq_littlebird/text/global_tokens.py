"""Structured input: the parts of a window that have a global token each (Zaheer et al., 2020, appendix E.2).

Legend: G global tokens, L tokens of the window, n of them context, M segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import regex

from fairseq_littlebird.formats.sentences import sentence_spans
from fairseq_littlebird.text.answer_spec import CANDIDATES, EVIDENCE, LONG_ANSWERS, Segments
from fairseq_littlebird.text.window import Window

KINDS = ("document", "question", "candidate", "paragraph", "sentence")
"""Kinds of global tokens; of a paragraph and its only sentence, the paragraph comes first."""
DOCUMENT, QUESTION, CANDIDATE, PARAGRAPH, SENTENCE = range(len(KINDS))

NOTHING = -1
"""The global token of what has none."""

LINKS = 2
"""Global tokens that a token belongs to at most: of the innermost part, and of the one around it."""


@dataclass(frozen=True)
class GlobalInput:
    """Which global tokens the windows of a data set have, beside that of the document.

    Args:
        kinds: of ``KINDS``: a token for each token of the question, each candidate, paragraph or sentence.
        maximum: global tokens of a window at most (table 12 of the BigBird paper).
        kinds_in_text: the same for models whose global tokens are tokens of the text (Beltagy et al., 2020): all of the
            question and of candidates, the first of paragraphs and sentences.
    """

    kinds: tuple[int, ...] = (QUESTION, SENTENCE)
    maximum: int = 256
    kinds_in_text: tuple[int, ...] = (QUESTION,)


class Part(NamedTuple):
    """A part of a window: its kind, its first and last token, inclusive, and which of the window's segments it is."""

    kind: int
    first: int
    last: int
    segment: int = NOTHING


@dataclass(frozen=True)
class GlobalTokens:
    """The global tokens of a window.

    Args:
        parts: what each stands for; the first for the document: tokens that are in no other part.
        groups: int64[G]; a paragraph and what is in it are a group, as are the question, and sentences that are in no
            paragraph; the document and each candidate are groups of their own.
        owners: int64[L, LINKS], the global tokens that each token belongs to, the innermost first.
        mentions: int64[L], the global token of the candidate that each token mentions in the paragraphs.
        segments: int64[M], the global token of each of the window's segments.
        dropped: parts without a global token, as there would be too many.
    """

    parts: tuple[Part, ...]
    groups: np.ndarray
    owners: np.ndarray
    mentions: np.ndarray
    segments: np.ndarray
    dropped: int = 0

    @property
    def kinds(self) -> np.ndarray:
        """int64[G], of ``KINDS``."""
        return np.array([part.kind for part in self.parts], dtype=np.int64)


def global_tokens(
    window: Window,
    document: str,
    names: Sequence[str],
    kinds: Sequence[int],
    maximum: int,
    segments: Segments = "",
) -> GlobalTokens:
    """The global tokens of a window, in the order of the text: document, question, candidates, paragraphs.

    Candidates are the window's segments where these are candidates, sentences where they are evidence, paragraphs where
    they are long answers. Other paragraphs are what stands between separators, other sentences what punctuation tells.

    Args:
        window: of a question.
        document: the whole document.
        names: of all segments of the question; those of candidates are looked for in the paragraphs.
        kinds: which there are to be, see ``GlobalInput``.
        maximum: of global tokens; further parts have none.
        segments: what the window's segments are, see ``AnswerSpec``.
    """
    given = [Part(DOCUMENT, 0, 0), *(part for part in _parts(window, document, segments) if part.kind in kinds)]
    parts = given[:maximum]
    length, numbers = len(window.tokens), {part.segment: g for g, part in enumerate(parts) if part.segment != NOTHING}
    found = GlobalTokens(
        tuple(parts),
        _groups(parts),
        _owners(parts, length),
        np.full(length, NOTHING, dtype=np.int64),
        np.array([numbers.get(m, NOTHING) for m in range(len(window.segments))], dtype=np.int64),
        len(given) - len(parts),
    )
    if segments == CANDIDATES and CANDIDATE in kinds:
        own = [names[m] for m in window.segment_ids.tolist()]
        for first, last, m in _mentions(window, document, own):
            found.mentions[first : last + 1] = found.segments[m]
    return found


def in_text(found: GlobalTokens) -> np.ndarray:
    """bool[L]: all tokens of the question and of candidates, and the first one of each paragraph and sentence."""
    chosen = np.zeros(len(found.owners), dtype=bool)
    for part in found.parts[1:]:
        stop = part.last if part.kind in (QUESTION, CANDIDATE) else part.first
        chosen[part.first : stop + 1] = True
    return chosen


def after_candidates(window: Window) -> int:
    """The first token behind the separator that ends the list of candidates."""
    start = max((int(last) + 1 for _, last in window.segments), default=window.context_start)
    separators = np.flatnonzero(window.tokens[start:-1] == window.tokens[-1])
    return start + int(separators[0]) + 1 if len(separators) else len(window.tokens) - 1


def _parts(window: Window, document: str, segments: Segments) -> Iterator[Part]:
    """All parts in the order of the text, an outer one before what is in it."""
    yield from (Part(QUESTION, i, i) for i in range(2, window.context_start - 1))
    own = [(first, last, m) for m, (first, last) in enumerate(window.segments.tolist())]
    start = window.context_start
    if segments == CANDIDATES:
        yield from (Part(CANDIDATE, *one) for one in own)
        start = after_candidates(window)
    stop = window.context_start + len(window.offsets)
    found = [Part(PARAGRAPH, *one) for one in own] if segments == LONG_ANSWERS else _paragraphs(window, start, stop)
    if segments == EVIDENCE and own:
        found += [Part(SENTENCE, *one) for one in own]
    else:
        found += _sentences(window, document, start, stop)
    yield from sorted(found, key=lambda part: (part.first, -part.last, part.kind))


def _paragraphs(window: Window, start: int, stop: int) -> list[Part]:
    """What stands between separators, of the tokens from ``start`` to ``stop``."""
    separator = window.tokens[-1]
    bounds = (np.flatnonzero(window.tokens[start:stop] == separator) + start).tolist()
    edges = zip([start - 1, *bounds], [*bounds, stop], strict=True)
    return [Part(PARAGRAPH, before + 1, after - 1) for before, after in edges if after - before > 1]


def _sentences(window: Window, document: str, start: int, stop: int) -> list[Part]:
    """By their punctuation, as far as they are in the window."""
    offsets = window.offsets[start - window.context_start : stop - window.context_start]
    if not len(offsets):
        return []
    first, last = int(offsets[0, 0]), int(offsets[-1, 1])
    spans = np.array(sentence_spans(document[first:last]), dtype=np.int64).reshape(-1, 2) + first
    return [Part(SENTENCE, start + a, start + b) for a, b in _token_ranges(offsets, spans) if a <= b]


def _mentions(window: Window, document: str, names: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """First and last token of each place where a candidate's words stand behind the candidates, and which it is.

    Of several that begin at the same place it is the longest; case does not count, nor how much white space there is.
    """
    start = after_candidates(window) - window.context_start
    offsets = window.offsets[start:]
    words = {" ".join(name.casefold().split()): m for m, name in enumerate(names)}
    if not len(offsets) or not words:
        return
    longest_first = sorted(words, key=len, reverse=True)
    patterns = (r"\s+".join(map(regex.escape, name.split())) for name in longest_first if name)
    pattern = regex.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)", regex.IGNORECASE | regex.FULLCASE)
    first, last = int(offsets[0, 0]), int(offsets[-1, 1])
    matches = [match for match in pattern.finditer(document, first, last) if match.group()]
    spans = np.array([match.span() for match in matches], dtype=np.int64).reshape(-1, 2)
    for (a, b), match in zip(_token_ranges(offsets, spans), matches, strict=True):
        which = words.get(" ".join(match.group().casefold().split()))
        if a <= b and which is not None:
            yield window.context_start + start + a, window.context_start + start + b, which


def _token_ranges(offsets: np.ndarray, spans: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last token that each of the character spans touches; the last before the first where it is none.

    Args:
        offsets: int64[n, 2], in the order of the text.
        spans: int64[s, 2].
    """
    firsts = np.searchsorted(offsets[:, 1], spans[:, 0], side="right")
    lasts = np.searchsorted(offsets[:, 0], spans[:, 1], side="left") - 1
    return zip(firsts.tolist(), lasts.tolist(), strict=True)


def _groups(parts: Sequence[Part]) -> np.ndarray:
    """int64[G], see :class:`GlobalTokens`."""
    groups, number, end, loose = [0], 2, -1, 0
    for part in parts[1:]:
        if part.kind == QUESTION:
            groups.append(1)
        elif part.last <= end:  # in the paragraph before it
            groups.append(number)
        elif part.kind == SENTENCE:
            loose = loose or number + 1
            number = max(number, loose)
            groups.append(loose)
        else:
            number += 1
            end = part.last if part.kind == PARAGRAPH else end
            groups.append(number)
    return np.array(groups, dtype=np.int64)


def _owners(parts: Sequence[Part], length: int) -> np.ndarray:
    """int64[L, LINKS], see :class:`GlobalTokens`; a token of two sentences belongs to the later one."""
    owners, lasts = np.full((length, LINKS), NOTHING, dtype=np.int64), np.array([part.last for part in parts])
    for g, part in enumerate(parts[1:], start=1):  # an outer part before what is in it
        inside = slice(part.first, part.last + 1)
        before = owners[inside, 0]
        outer = (before != NOTHING) & (lasts[before] >= part.last)
        owners[inside, 1] = np.where(outer, before, owners[inside, 1])
        owners[inside, 0] = g
    owners[owners[:, 0] == NOTHING, 0] = 0
    return owners
