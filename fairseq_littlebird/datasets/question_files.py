"""Files of questions, read as their data set has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairseq_littlebird.datasets.registry import AUTO, DATASETS, check_format, dataset_of, recognised
from fairseq_littlebird.datasets.spec import DatasetSpec, Parser
from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records, open_records
from fairseq_littlebird.text.example import QAExample


class QuestionFile:
    """A file of questions, opened and recognised, not yet read.

    Attributes:
        path: the file.
        spec: of its data set.
        used: whether its reading has begun.
    """

    def __init__(self, dataset: str, records: Records) -> None:
        self._unnamed = dataset == AUTO
        if self._unnamed:
            self.spec = dataset_of(records)
        else:
            self.spec = DATASETS[dataset]
            check_format(records, self.spec)
        self.path = records.path
        self._records = records
        self.used = False
        records.remedy = self.spec.remedy

    def read(self, join_articles: bool, log: ReadingLog) -> Iterator[QAExample]:
        """The examples, once; see :func:`read_questions`."""
        self.used = True
        parse = _parser(self.spec, join_articles, str(self.path))
        if self.spec.file_format:
            log.formats[str(self.path)] = self.spec.file_format
        before = log.characters
        document = ""
        for example in parse(self._records, log):
            log.characters = before + self._records.position
            with log.record():
                _check_text(example, str(self.path), document is not example.document)
                document = example.document
                yield example
        self._check_version()

    def _check_version(self) -> None:
        """Raises UserError where the version, which may stand behind the records, tells of another data set."""
        told = recognised({}, self._records.top)
        if self._unnamed and told is not None and told.parse is self.spec.parse and told is not self.spec:
            what = f"this is {told.title}, as the version at its end says"
            raise UserError(what, str(self.path), f"give --dataset {told.name}")


def _parser(spec: DatasetSpec, join_articles: bool, where: str) -> Parser:
    if not join_articles:
        return spec.parse
    if spec.parse_articles is None:
        raise UserError(f"{spec.title} has no articles to join", where, "leave out --join-articles")
    return spec.parse_articles


def _check_text(example: QAExample, where: str, new: bool) -> None:
    """Raises UserError where a parser left a lone surrogate, which UTF-8 cannot hold; also in a ``new`` document."""
    texts = [example.id, example.question, example.title, *(answer.text for answer in example.answers)]
    texts += [segment.name for segment in example.segments]
    try:
        "".join([*texts, example.document] if new else texts).encode()
    except UnicodeEncodeError as error:
        where = f"{where}, question {shown(example.id)}"
        raise UserError(
            "a lone surrogate in its texts", where, "replace it, as text.tokenizers.without_surrogates does"
        ) from error


@contextmanager
def open_questions(dataset: str, path: str | Path, join_articles: bool = False) -> Iterator[QuestionFile]:
    """Opens a file of questions; see :func:`read_questions`."""
    remedy = "give a file of questions" if dataset == AUTO else DATASETS[dataset].remedy
    with open_records(path, remedy, whole=join_articles) as records:
        yield QuestionFile(dataset, records)


def read_questions(
    dataset: str, path: str | Path, join_articles: bool = False, log: ReadingLog | None = None
) -> Iterator[QAExample]:
    """The examples of a file, lazily, in the file's order; those of one document follow one another.

    Args:
        dataset: a key of ``DATASETS``, or ``AUTO``.
        path: the file, plain or compressed, or ``-``.
        join_articles: one document an article instead of one a paragraph, where the format has articles.
        log: takes notes, and skips bad records if it is to.

    Raises:
        UserError: names file and record where the file is not in the data set's format.
    """
    with open_questions(dataset, path, join_articles) as file:
        yield from file.read(join_articles, log or ReadingLog())
