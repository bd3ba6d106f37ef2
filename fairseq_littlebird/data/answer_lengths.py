"""How many tokens the gold answers have: the limit chosen from the training answers, and what no model can predict.

Legend: a answers of a question, w its windows, n tokens.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fairseq_littlebird.text.answer_spec import CANDIDATES, AnswerSpec
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.window import Window, holds

SHARE = 0.995
"""Of the training answers that a measured limit lets through."""
NEVER = sys.maxsize
"""The length of an answer of too many words."""


class AnswerLengths:
    """Tokens of a split's gold answers: of each that some window holds whole, and of each question's shortest one.

    Args:
        spec: of the questions' data set.
    """

    def __init__(self, spec: AnswerSpec) -> None:
        self._spec = spec
        self._answered = 0
        self._answers: Counter[int] = Counter()
        self._shortest: Counter[int] = Counter()

    def add(self, example: QAExample, spans: np.ndarray, windows: np.ndarray, offsets: np.ndarray) -> None:
        """A question.

        Args:
            example: the question.
            spans: integer[a, 2], first and last token of each answer in the document, inclusive.
            windows: integer[w, 2], first context token and the one after the last.
            offsets: integer[n, 2], [start, end) characters of each token.
        """
        if not example.answers or self._spec.segments == CANDIDATES:  # candidates are scored whatever their length
            return
        self._answered += 1
        held = spans[holds(windows, spans).any(axis=0)]
        lengths = [*_lengths(held, offsets, example.document, self._spec.max_answer_words)]
        self._answers.update(lengths)
        self._shortest.update([min(lengths)] if lengths else [])

    def limit(self) -> int:
        """The data set's own limit where official rules fix it; else no less, and so many tokens that ``SHARE`` of the
        answers have no more."""
        longest = self._spec.max_answer_length
        if not self._spec.limit_from_training:
            return longest
        reached, wanted = 0, SHARE * self._answers.total()
        for length in sorted(self._answers):
            longest, reached = max(longest, length), reached + self._answers[length]
            if reached >= wanted:
                break
        return longest

    def summary(self, limit: int) -> dict[str, int]:
        """For ``prepared.json``.

        ``long_answers`` are those beyond the limit; ``unreachable`` the questions, of the ``answered`` ones, that have
        no answer that can be predicted, ``too_long`` those of them that would have one without the limit.
        """
        too_long = _beyond(self._shortest, limit)
        return {
            "max_answer_length": limit,
            "long_answers": _beyond(self._answers, limit),
            "answered": self._answered,
            "too_long": too_long,
            "unreachable": too_long + self._answered - self._shortest.total(),
        }


def reachable(example: QAExample, windows: Sequence[Window], limit: int, spec: AnswerSpec) -> bool | None:
    """Whether a gold answer is among the spans that can be predicted; None where no answer is a span.

    Args:
        example: the question.
        windows: its windows.
        limit: tokens of an answer at most.
        spec: of its data set.
    """
    if not example.answers or spec.segments == CANDIDATES:
        return None
    for window in windows:
        spans = np.array(window.spans, np.int64).reshape(-1, 2) - window.context_start
        if any(n <= limit for n in _lengths(spans, window.offsets, example.document, spec.max_answer_words)):
            return True
    return False


def reach_line(summary: Mapping[str, Any], *, trained: bool) -> str:
    """What :meth:`AnswerLengths.summary` counted, for people to read; nothing where every answer can be predicted.

    Args:
        summary: the counts.
        trained: whether there is a train split, from which its limit was chosen; otherwise the model's own decides.
    """
    answered, limit, too_long = (summary[name] for name in ("answered", "max_answer_length", "too_long"))
    lost = summary["unreachable"] - too_long
    if trained:
        reasons = {"with longer answers": too_long, "with answers not found, or not in any window as a whole": lost}
        what = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
        questions = f"{summary['unreachable']:,} of {answered:,} questions with answers"
        return f"{questions} can never be answered exactly in {limit} tokens: {what}" if what else ""
    parts = [
        f"the answers of {too_long:,} of {answered:,} questions are longer than {limit} tokens: the model's own "
        "--max-answer-length decides whether it can give them",
        f"{lost:,} of {answered:,} questions with answers can never be answered exactly: not found, or not in "
        "any window as a whole",
    ]
    return "; ".join(part for part, count in zip(parts, (too_long, lost), strict=True) if count)


def _lengths(spans: np.ndarray, offsets: np.ndarray, document: str, max_answer_words: int | None) -> Iterator[int]:
    """Tokens of each span integer[a, 2], whose first and last token index ``offsets``."""
    for first, last in spans.tolist():
        words = 0 if max_answer_words is None else len(document[offsets[first, 0] : offsets[last, 1]].split())
        yield last - first + 1 if words <= (max_answer_words or 0) else NEVER


def _beyond(counts: Mapping[int, int], limit: int) -> int:
    return sum(count for length, count in counts.items() if length > limit)
