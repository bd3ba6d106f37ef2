"""Readers of question answering data sets, one file a format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.readers.mrqa import read_mrqa
from fairseq_littlebird.text.readers.squad import read_squad

Reader = Callable[[Path, bool], Iterator[QAExample]]

READERS: dict[str, Reader] = {"squad": read_squad, "korquad1": read_squad, "mrqa": read_mrqa}


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
