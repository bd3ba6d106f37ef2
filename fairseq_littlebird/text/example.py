"""The one record of a question about a document."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """A gold answer.

    Args:
        text: the answer as the data set gives it.
        start: character offset of ``text`` in the document; negative where the data set gives none.
    """

    text: str
    start: int


@dataclass(frozen=True)
class QAExample:
    """A question about a document; no answers means that the document does not answer it.

    Args:
        id: unique within a split.
        question: the question.
        document: the whole document, exactly as given; questions of one document share one string.
        answers: the gold answers.
        title: the document's title, if it has one.
    """

    id: str
    question: str
    document: str
    answers: tuple[Answer, ...] = ()
    title: str = ""
