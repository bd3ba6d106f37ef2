"""Question answering data sets: how each is read, and what a model of it has to say. One reader a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.readers import hotpotqa, natural_questions
from fairseq_littlebird.text.readers.korquad2 import read_korquad2
from fairseq_littlebird.text.readers.mrqa import read_mrqa
from fairseq_littlebird.text.readers.squad import read_squad
from fairseq_littlebird.text.readers.triviaqa import read_triviaqa
from fairseq_littlebird.text.readers.wikihop import read_wikihop

Reader = Callable[[Path, bool], Iterator[QAExample]]

EVIDENCE, CANDIDATES, LONG_ANSWERS = "evidence", "candidates", "long answers"


class DataSet(NamedTuple):
    """What is the data set's own.

    Args:
        read: its reader.
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
    answer_types: tuple[str, ...] = ()
    segments: str = ""
    noisy: bool = False
    longest: int = 30
    measured: bool = False
    longest_words: int | None = None
    html: bool = False


DATA_SETS: dict[str, DataSet] = {
    "squad": DataSet(read_squad, measured=True),
    "korquad1": DataSet(read_squad, measured=True),
    "mrqa": DataSet(read_mrqa, measured=True),
    # a word is seldom more than two tokens
    "hotpotqa": DataSet(hotpotqa.read_hotpotqa, hotpotqa.ANSWER_TYPES, segments=EVIDENCE, longest=60, longest_words=30),
    "natural_questions": DataSet(
        natural_questions.read_natural_questions,
        natural_questions.ANSWER_TYPES,
        segments=LONG_ANSWERS,
        longest=76,
        longest_words=38,
    ),
    "triviaqa": DataSet(read_triviaqa, noisy=True, longest=32, longest_words=16),
    "wikihop": DataSet(read_wikihop, segments=CANDIDATES),
    "korquad2": DataSet(read_korquad2, longest=8192, html=True),  # whole tables
}


def read_questions(dataset: str, path: str | Path, join_articles: bool = False) -> Iterator[QAExample]:
    """The examples of a file, lazily, in the file's order; those of one document follow one another.

    Args:
        dataset: a key of ``DATA_SETS``.
        path: the file.
        join_articles: one document an article instead of one a paragraph, where the format has articles.

    Raises:
        UserError: names file and record where the file is not in the data set's format.
    """
    return DATA_SETS[dataset].read(Path(path), join_articles)
