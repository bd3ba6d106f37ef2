"""Recurring span selection: the spans of a text that occur again, and questions made of them.

The objective of Ram et al. (2021), used in sections 2.3, 4.1 and A.1. A span is (start, end), both inclusive
indices of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fairseq_littlebird.text.vocabulary import Vocabulary

Span = tuple[int, int]

MASKED_SHARE = 0.15


@dataclass(frozen=True)
class RecurringSpanQuestions:
    """A text with questions in it; Q questions, in the order of their places.

    Attributes:
        tokens: int64 [L], the text; each asked span is [QUESTION] followed by padding, so that nothing moves.
        questions: int64 [Q], where the [QUESTION] tokens are.
        starts, ends: int64 [Q], first and last token of the same span where it was left standing.
    """

    tokens: np.ndarray
    questions: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def recurring_spans(
    tokens: np.ndarray, vocabulary: Vocabulary, max_span_length: int = 10, free_end: bool = False
) -> list[list[Span]]:
    """Clusters of equal spans, at least two each, no token in more than one span.

    A span is whole words, alphanumeric throughout, and not stop words only. The longest spans are taken
    first, among equally long ones the cluster that occurs first outside them; its spans left to right.

    Args:
        tokens: int [L], one chunk of text.
        max_span_length: in tokens.
        free_end: a span may end inside a word before a Hangul piece, since Korean particles are written
            onto the word; it still starts with a word.

    Returns:
        Clusters in the order taken, each a list of (start, end), both inclusive, left to right.
    """
    clusters: list[list[Span]] = []
    taken = bytearray(len(tokens))  # read and written one by one much faster than an array
    groups = _recurring_groups(np.asarray(tokens), vocabulary, max_span_length, free_end)
    for size in sorted(groups, reverse=True):
        # what is taken is no shorter than a span, so it holds the first or the last token of one that it overlaps
        left = ([start for start in starts if not taken[start] | taken[start + size - 1]] for starts in groups[size])
        for starts in sorted(starts for starts in left if len(starts) > 1):
            spans: list[Span] = []
            stop = 0
            for start in starts:
                if start >= stop and not taken[start] | taken[start + size - 1]:
                    stop = start + size
                    spans.append((start, stop - 1))
            if len(spans) > 1:
                clusters.append(spans)
                for start, end in spans:
                    taken[start : end + 1] = b"\1" * size
    return clusters


def _recurring_groups(
    tokens: np.ndarray, vocabulary: Vocabulary, max_span_length: int, free_end: bool
) -> dict[int, list[list[int]]]:
    """Size -> for each span of this size that recurs: the places where it starts, ascending."""
    boundary = vocabulary.word_boundaries(tokens)
    text = len(vocabulary) + np.arange(len(tokens) + 1)  # equal to no token and to none of each other, as is the end
    np.copyto(text[:-1], tokens, where=vocabulary.alphanumeric[tokens])
    places = np.flatnonzero(boundary[:-1])
    numbers = np.zeros(len(places), dtype=np.int64)  # equal where the n-grams that start at the places are
    found = [(places[:0], numbers[:0])]  # of size 0
    for size in range(1, max_span_length + 1):
        # an n-gram recurs only where its first n - 1 tokens do, so few places are left after a size or two
        grown = numbers << 32 | text[places + (size - 1)]
        order = np.argsort(grown, kind="stable")
        first, again = _runs(grown[order])
        places, numbers = places[order[again]], np.cumsum(first[again])
        found.append((places, numbers + (size << 32)))
        if not len(places):
            break

    sizes = np.repeat(np.arange(len(found)), [len(places) for places, _ in found])
    places, numbers = (np.concatenate(parts) for parts in zip(*found, strict=True))
    end_boundary = boundary.copy()
    if free_end:
        end_boundary[:-1] |= vocabulary.hangul[tokens]
    content = np.concatenate(([0], np.cumsum(~vocabulary.stop_word[tokens])))
    good = end_boundary[places + sizes] & (content[places + sizes] > content[places])
    first, again = _runs(numbers[good])
    places, sizes, first = places[good][again], sizes[good][again], first[again]

    groups: dict[int, list[list[int]]] = {}
    starts, bounds = places.tolist(), [*np.flatnonzero(first).tolist(), len(places)]
    for size, (begin, stop) in zip(sizes[first].tolist(), pairwise(bounds), strict=True):
        groups.setdefault(size, []).append(starts[begin:stop])
    return groups


def _runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of sorted values [n]: which are the first of their kind, and which are there twice or more; both bool [n]."""
    first = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    again = ~first
    again[:-1] |= again[1:]
    return first, again


def question_cap(length: int) -> int:
    """The most questions in a text of ``length`` tokens: 30, 120, 240 at 512, 2,048, 4,096 (appendix A.1).

    These three lie on one line, which serves every other length.
    """
    return max(1, round(length * 30 / 512))


def select_questions(
    tokens: np.ndarray,
    clusters: Sequence[Sequence[Span]],
    question_id: int,
    pad_id: int,
    max_questions: int,
    rng: np.random.Generator,
) -> RecurringSpanQuestions:
    """Asks for spans of clusters drawn at random: one occurrence stays as the answer, the others are masked.

    At most ``max_questions`` questions, and at most 15 % of L. An occurrence that holds a token already
    masked or serving as an answer is left out.

    Args:
        tokens: int [L].
        clusters: equal spans (start, end), inclusive, as ``recurring_spans`` returns them.
    """
    masked = np.array(tokens, dtype=np.int64)
    busy = bytearray(len(masked))
    budget = min(max_questions, round(MASKED_SHARE * len(masked)))
    asked: list[tuple[int, int, int]] = []
    for index in rng.permutation(len(clusters)).tolist():
        if len(asked) >= budget:
            break
        spans = list(clusters[index])
        rng.shuffle(spans)
        free = [(start, end) for start, end in spans if 1 not in busy[start : end + 1]]
        if len(free) < 2:
            continue
        answer_start, answer_end = free[0]
        busy[answer_start : answer_end + 1] = b"\1" * (answer_end + 1 - answer_start)
        for start, end in free[1:]:
            if len(asked) < budget and 1 not in busy[start : end + 1]:
                busy[start : end + 1] = b"\1" * (end + 1 - start)
                masked[start : end + 1] = pad_id
                masked[start] = question_id
                asked.append((start, answer_start, answer_end))
    questions, starts, ends = np.array(sorted(asked), dtype=np.int64).reshape(-1, 3).T
    return RecurringSpanQuestions(masked, questions, starts, ends)
