"""Recurring span selection: the spans of a text that occur again, and questions made of them.

The objective of Ram et al. (2021), used in sections 2.3, 4.1 and A.1. A span is (start, end), both inclusive
indices of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    tokens = np.asarray(tokens)
    length = len(tokens)
    boundary = vocabulary.word_boundaries(tokens)
    end_boundary = boundary.copy()
    if free_end:
        end_boundary[:-1] |= vocabulary.hangul[tokens]
    unusable = _running_count(~vocabulary.alphanumeric[tokens])
    content = _running_count(~vocabulary.stop_word[tokens])
    identities = _identities(tokens, max_span_length)

    clusters: list[list[Span]] = []
    taken = np.zeros(length, dtype=bool)
    for size in range(min(max_span_length, length), 0, -1):
        first, after = np.arange(length - size + 1), np.arange(size, length + 1)
        used = _running_count(taken)
        good = boundary[first] & end_boundary[after] & (content[after] > content[first])
        good &= (unusable[after] == unusable[first]) & (used[after] == used[first])
        for starts in _groups(identities[size - 1], np.flatnonzero(good)):
            free = []
            stop = 0
            for start in starts:
                if start >= stop and not taken[start : start + size].any():
                    free.append((start, start + size - 1))
                    stop = start + size
            if len(free) > 1:
                clusters.append(free)
                for start, end in free:
                    taken[start : end + 1] = True
    return clusters


def _running_count(flags: np.ndarray) -> np.ndarray:
    """int64 [L + 1]: how many flags are set before each place."""
    return np.concatenate(([0], np.cumsum(flags)))


def _identities(tokens: np.ndarray, max_size: int) -> list[np.ndarray]:
    """For each size the n-grams as numbers, [L - size + 1]: equal numbers where the n-grams are equal."""
    single = np.unique(tokens, return_inverse=True)[1].reshape(-1)
    result = [single]
    for size in range(2, min(max_size, len(tokens)) + 1):
        pairs = result[-1][:-1] * len(tokens) + single[size - 1 :]
        result.append(np.unique(pairs, return_inverse=True)[1])
    return result


def _groups(identities: np.ndarray, places: np.ndarray) -> list[list[int]]:
    """The places of equal identity, ascending, two or more; groups in the order of their first place."""
    order = places[np.argsort(identities[places], kind="stable")]
    cuts = np.flatnonzero(np.diff(identities[order])) + 1
    groups = [group.tolist() for group in np.split(order, cuts) if len(group) > 1]
    return sorted(groups, key=lambda group: group[0])


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
    busy = np.zeros(len(masked), dtype=bool)
    budget = min(max_questions, round(MASKED_SHARE * len(masked)))
    asked: list[tuple[int, int, int]] = []
    for index in rng.permutation(len(clusters)):
        if len(asked) >= budget:
            break
        free = [clusters[index][i] for i in rng.permutation(len(clusters[index]))]
        free = [(start, end) for start, end in free if not busy[start : end + 1].any()]
        if len(free) < 2:
            continue
        answer_start, answer_end = free[0]
        busy[answer_start : answer_end + 1] = True
        for start, end in free[1:]:
            if len(asked) < budget and not busy[start : end + 1].any():
                busy[start : end + 1] = True
                masked[start : end + 1] = pad_id
                masked[start] = question_id
                asked.append((start, answer_start, answer_end))
    questions, starts, ends = np.array(sorted(asked), dtype=np.int64).reshape(-1, 3).T
    return RecurringSpanQuestions(masked, questions, starts, ends)
