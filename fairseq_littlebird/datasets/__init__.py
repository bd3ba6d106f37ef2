"""Question answering data sets: how each is read, and what a model of it has to say. One reader a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fairseq_littlebird.datasets import hotpotqa, korquad2, mrqa, natural_questions, squad, triviaqa, wikihop
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.datasets import recognised
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records, open_records
from fairseq_littlebird.text.example import QAExample

Reader = Callable[[Records, bool, ReadingLog], Iterator[QAExample]]

EVIDENCE, CANDIDATES, LONG_ANSWERS = "evidence", "candidates", "long answers"


class DataSet(NamedTuple):
    """What is the data set's own.

    Args:
        read: its reader.
        remedy: what an error tells the user to give.
        answer_types: the kinds of its answers, if it has some. "null" is that of windows without the answer.
        segments: what its segments are: ``EVIDENCE``, each by itself or not; ``CANDIDATES``, one of them the answer,
            scored as spans; ``LONG_ANSWERS``, one of them or none; empty where it has none.
        noisy: the answers are all places where their text stands, and one normaliser is shared by all windows of a
            question (Clark and Gardner, 2018).
        longest: tokens of an answer at most.
        measured: the training answers may raise ``longest``: no official rule fixes it.
        longest_words: the same in words, where the data set says so (appendix E.2 of the BigBird paper).
        html: the documents are pages, their tags included.
    """

    read: Reader
    remedy: str
    answer_types: tuple[str, ...] = ()
    segments: str = ""
    noisy: bool = False
    longest: int = 30
    measured: bool = False
    longest_words: int | None = None
    html: bool = False


DATA_SETS: dict[str, DataSet] = {
    "squad": DataSet(squad.read_squad, squad.REMEDY, measured=True),
    "korquad1": DataSet(squad.read_squad, squad.REMEDY, measured=True),
    "mrqa": DataSet(mrqa.read_mrqa, mrqa.REMEDY, measured=True),
    # a word is seldom more than two tokens
    "hotpotqa": DataSet(
        hotpotqa.read_hotpotqa,
        hotpotqa.REMEDY,
        hotpotqa.ANSWER_TYPES,
        segments=EVIDENCE,
        longest=60,
        longest_words=30,
    ),
    "natural_questions": DataSet(
        natural_questions.read_natural_questions,
        natural_questions.REMEDY,
        natural_questions.ANSWER_TYPES,
        segments=LONG_ANSWERS,
        longest=76,
        longest_words=38,
    ),
    "triviaqa": DataSet(triviaqa.read_triviaqa, triviaqa.REMEDY, noisy=True, longest=32, longest_words=16),
    "wikihop": DataSet(wikihop.read_wikihop, wikihop.REMEDY, segments=CANDIDATES),
    "korquad2": DataSet(korquad2.read_korquad2, korquad2.REMEDY, longest=8192, html=True),  # whole tables
}


AUTO = "auto"
"""The data set whose format the first record has; SQuAD's way for questions in any other."""


class QuestionFile:
    """A file of questions, opened and recognised, not yet read.

    Attributes:
        path: the file.
        dataset: a key of ``DATA_SETS``.
        used: whether its reading has begun.
    """

    def __init__(self, dataset: str, records: Records) -> None:
        other = recognised(records.first)
        if dataset == AUTO:
            dataset = other.name if other else "squad"
        elif other and other.name != dataset:
            raise UserError(f"this is {other.title}", str(records.path), f"give --dataset {other.name}, or {AUTO}")
        self.path = records.path
        self.dataset = dataset
        self._records = records
        self.used = False
        records.remedy = DATA_SETS[dataset].remedy

    def read(self, join_articles: bool, log: ReadingLog) -> Iterator[QAExample]:
        """The examples, once; see :func:`read_questions`."""
        self.used = True
        other = recognised(self._records.first)
        if other:
            log.formats[str(self.path)] = other.title
        before = log.characters
        for example in DATA_SETS[self.dataset].read(self._records, join_articles, log):
            log.characters = before + self._records.position
            yield example


@contextmanager
def open_questions(dataset: str, path: str | Path, join_articles: bool = False) -> Iterator[QuestionFile]:
    """Opens a file of questions; see :func:`read_questions`."""
    remedy = "give a file of questions" if dataset == AUTO else DATA_SETS[dataset].remedy
    with open_records(path, remedy, whole=join_articles) as records:
        yield QuestionFile(dataset, records)


def read_questions(
    dataset: str, path: str | Path, join_articles: bool = False, log: ReadingLog | None = None
) -> Iterator[QAExample]:
    """The examples of a file, lazily, in the file's order; those of one document follow one another.

    Args:
        dataset: a key of ``DATA_SETS``, or ``AUTO``.
        path: the file, plain or compressed, or ``-``.
        join_articles: one document an article instead of one a paragraph, where the format has articles.
        log: takes notes, and skips bad records if it is to.

    Raises:
        UserError: names file and record where the file is not in the data set's format.
    """
    with open_questions(dataset, path, join_articles) as file:
        yield from file.read(join_articles, log or ReadingLog())
