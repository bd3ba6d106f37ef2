"""Recurring span selection a token at a time: what ``recurring_spans.py`` has to give, and the measure of its speed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from fairseq_littlebird.text.recurring_spans import MASKED_SHARE, RecurringSpanQuestions, Span
from fairseq_littlebird.text.vocabulary import Vocabulary


def recurring_spans(
    tokens: np.ndarray, vocabulary: Vocabulary, max_span_length: int = 10, free_end: bool = False
) -> list[list[Span]]:
    """As ``recurring_spans.recurring_spans``, with a dictionary of the n-grams of each size."""
    text = np.asarray(tokens).tolist()
    boundary = vocabulary.word_boundaries(np.asarray(tokens)).tolist()
    alphanumeric = [bool(vocabulary.alphanumeric[token]) for token in text]
    stop_word = [bool(vocabulary.stop_word[token]) for token in text]
    hangul = [bool(vocabulary.hangul[token]) for token in text]

    clusters: list[list[Span]] = []
    taken: set[int] = set()
    for size in range(min(max_span_length, len(text)), 0, -1):
        places = defaultdict(list)
        for start in range(len(text) - size + 1):
            stop = start + size
            if not boundary[start] or not (boundary[stop] or (free_end and hangul[stop])):
                continue
            if not all(alphanumeric[start:stop]) or all(stop_word[start:stop]):
                continue
            if taken.isdisjoint(range(start, stop)):
                places[tuple(text[start:stop])].append(start)
        for starts in places.values():  # in the order of their first places
            free: list[Span] = []
            for start in starts:
                if (not free or start > free[-1][1]) and taken.isdisjoint(range(start, start + size)):
                    free.append((start, start + size - 1))
            if len(free) > 1:
                clusters.append(free)
                for start, end in free:
                    taken.update(range(start, end + 1))
    return clusters


def select_questions(
    tokens: np.ndarray,
    clusters: Sequence[Sequence[Span]],
    question_id: int,
    pad_id: int,
    max_questions: int,
    rng: np.random.Generator,
) -> RecurringSpanQuestions:
    """As ``recurring_spans.select_questions``, with a set of the tokens that are masked or serve as an answer."""
    masked = np.asarray(tokens).tolist()
    budget = min(max_questions, round(MASKED_SHARE * len(masked)))
    busy: set[int] = set()
    asked: list[tuple[int, int, int]] = []
    for index in rng.permutation(len(clusters)):
        if len(asked) >= budget:
            break
        shuffled = [clusters[index][i] for i in rng.permutation(len(clusters[index]))]
        free = [(start, end) for start, end in shuffled if busy.isdisjoint(range(start, end + 1))]
        if len(free) < 2:
            continue
        answer, *others = free
        busy.update(range(answer[0], answer[1] + 1))
        for start, end in others:
            if len(asked) < budget and busy.isdisjoint(range(start, end + 1)):
                busy.update(range(start, end + 1))
                masked[start] = question_id
                for place in range(start + 1, end + 1):
                    masked[place] = pad_id
                asked.append((start, *answer))
    asked.sort()
    questions, starts, ends = (np.array([row[column] for row in asked], dtype=np.int64) for column in range(3))
    return RecurringSpanQuestions(np.array(masked, dtype=np.int64), questions, starts, ends)
