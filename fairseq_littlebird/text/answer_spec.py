"""What can be an answer in a data set: what a model of it predicts, and within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Segments = Literal["", "evidence", "candidates", "long answers"]

EVIDENCE: Final = "evidence"
CANDIDATES: Final = "candidates"
LONG_ANSWERS: Final = "long answers"


@dataclass(frozen=True, kw_only=True)
class AnswerSpec:
    """The answers of a data set; the defaults are those of spans of the document, or none.

    Args:
        answer_types: the types of its answers, if it has some: the model gets a head that chooses one. "null" is that
            of windows without the answer.
        segments: what its segments are: ``EVIDENCE``, each by itself or not; ``CANDIDATES``, one of them the answer,
            scored as spans; ``LONG_ANSWERS``, one of them or none; empty where it has none. For evidence and long
            answers the model gets a head that scores them.
        noisy: the answers are all places where their text stands, and one normaliser is shared by all windows of a
            question (Clark and Gardner, 2018).
        max_answer_length: tokens of an answer at most.
        limit_from_training: the training answers may raise ``max_answer_length``: no official rule fixes it.
        max_answer_words: the same in words, where the data set says so (appendix E.2 of the BigBird paper).
    """

    answer_types: tuple[str, ...] = ()
    segments: Segments = ""
    noisy: bool = False
    max_answer_length: int = 30
    limit_from_training: bool = False
    max_answer_words: int | None = None

    @property
    def needs_segment_head(self) -> bool:
        """Whether its segments are scored by a head of their own."""
        return self.segments in (EVIDENCE, LONG_ANSWERS)

    @property
    def has_fixed_limit(self) -> bool:
        """Whether answers are spans whose longest the data set itself says."""
        return self.segments != CANDIDATES and not self.limit_from_training

    @property
    def predicts_more_than_spans(self) -> bool:
        """Whether a model predicts segments or answer types beside spans."""
        return bool(self.segments or self.answer_types)


SPANS = AnswerSpec()
"""Answers that are spans of the document."""
