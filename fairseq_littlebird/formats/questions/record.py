"""The one record that all formats of questions come to: a document, and questions that a part of it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records


class GivenAnswer(NamedTuple):
    """An answer as a file has it: its text, and the character at which it starts, None where the file does not say."""

    text: str
    start: int | None


class Question(NamedTuple):
    """A question about a document.

    Args:
        where: file and record, for errors.
        id: given, or made of the file's name and the record's number.
        question: the question.
        answers: those with a text; none where the document does not answer the question; None where the file does not
            say.
        impossible: what the file says about whether there is no answer; None where it says nothing.
    """

    where: str
    id: str
    question: str
    answers: tuple[GivenAnswer, ...] | None
    impossible: bool | None


class Passage(NamedTuple):
    """A document with its questions.

    Args:
        context: the document.
        title: its title, if it has one.
        article: what the passages have in common that are parts of one article.
        questions: perhaps none.
    """

    context: str
    title: str
    article: object
    questions: tuple[Question, ...]


Parse = Callable[[Records, ReadingLog], Iterator[Passage]]


class Format(NamedTuple):
    """A format of questions.

    Args:
        name: as people call it.
        matches: whether a record, the first of a file, is of it.
        parse: the passages of a file of it.
    """

    name: str
    matches: Callable[[Any], bool]
    parse: Parse


def merged(passages: Iterator[Passage]) -> Iterator[Passage]:
    """Passages that have the same text and follow one another become one."""
    last: Passage | None = None
    for passage in passages:
        if last is not None and last[:3] == passage[:3]:
            last = last._replace(questions=last.questions + passage.questions)
            continue
        if last is not None:
            yield last
        last = passage
    if last is not None:
        yield last
