"""Readers of question answering data sets, one file a format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.readers import hotpotqa, natural_questions
from fairseq_littlebird.text.readers.korquad2 import read_korquad2
from fairseq_littlebird.text.readers.mrqa import read_mrqa
from fairseq_littlebird.text.readers.squad import read_squad
from fairseq_littlebird.text.readers.triviaqa import read_triviaqa
from fairseq_littlebird.text.readers.wikihop import read_wikihop

Reader = Callable[[Path, bool], Iterator[QAExample]]

READERS: dict[str, Reader] = {
    "squad": read_squad,
    "korquad1": read_squad,
    "mrqa": read_mrqa,
    "hotpotqa": hotpotqa.read_hotpotqa,
    "natural_questions": natural_questions.read_natural_questions,
    "triviaqa": read_triviaqa,
    "wikihop": read_wikihop,
    "korquad2": read_korquad2,
}

ANSWER_TYPES: dict[str, tuple[str, ...]] = {
    "hotpotqa": hotpotqa.ANSWER_TYPES,
    "natural_questions": natural_questions.ANSWER_TYPES,
}
"""The kinds of answers of the data sets that have some."""

EVIDENCE, CANDIDATES = "evidence", "candidates"
SEGMENTS: dict[str, str] = {"hotpotqa": EVIDENCE, "wikihop": CANDIDATES}
"""What segments are: each evidence or not, or one of them the answer."""


def read_questions(dataset: str, path: str | Path, join_articles: bool = False) -> Iterator[QAExample]:
    """The examples of a file, lazily, in the file's order; those of one document follow one another.

    Args:
        dataset: a key of ``READERS``.
        path: the file.
        join_articles: one document an article instead of one a paragraph, where the format has articles.

    Raises:
        UserError: names file and record where the file is not in the data set's format.
    """
    return READERS[dataset](Path(path), join_articles)
