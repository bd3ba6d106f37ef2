"""Documents and their summaries: rows of JSON or of a table, or two text files with one of them a line."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.formats.questions.rows import first_name, row_id
from fairseq_littlebird.formats.records import Records, open_records
from fairseq_littlebird.formats.scalars import field

REMEDY = (
    'give {"id": "…", "document": "…", "summary": "…"} a line, or such columns; a summary may be a list of sentences'
)
DOCUMENTS = ("document", "article", "text")
SUMMARIES = ("summary", "highlights", "abstract")


class Summarized(NamedTuple):
    """A document and its summary.

    Args:
        id: given, or made of the file's name and the record's number.
        where: file and record, for errors.
        document: of any length.
        summary: its sentences on lines of their own where the file has a list of them; None where there is none.
    """

    id: str
    where: str
    document: str
    summary: str | None


def read_summaries(path: str | Path) -> Iterator[Summarized]:
    """The documents of a file, in its order.

    Args:
        path: JSON lines, a JSON list or a table with a first row of names, plain or compressed; ``-`` is standard
            input.
    Raises:
        UserError: names the file, and the record, that is not of this format.
    """
    with open_records(path, REMEDY, whole=True) as records:
        records.check_columns(DOCUMENTS, "give a first row of names: id, document and summary")
        for number, record in records:
            yield _summarized(record, number, records)


def read_parallel(documents: Path, summaries: Path) -> Iterator[Summarized]:
    """The documents of one text file and the summaries of another, one a line.

    Raises:
        UserError: one has more lines than the other.
    """
    with open_text(documents, newline="\n") as left, open_text(summaries, newline="\n") as right:
        for number, (document, summary) in enumerate(zip_longest(left, right), start=1):
            if document is None or summary is None:
                short, long = (documents, summaries) if document is None else (summaries, documents)
                what = f"{number - 1:,} lines, fewer than {long}"
                raise UserError(what, str(short), "give a summary a line for each document's line")
            yield Summarized(
                f"{documents.name}:{number}",
                f"{documents}, line {number}",
                document.rstrip("\r\n"),
                summary.rstrip("\r\n"),
            )


def summary_text(value: Any, where: str) -> str:
    """A summary that is a text or a list of sentences, as text with a sentence a line.

    Raises:
        UserError: it is something else.
    """
    sentences = value if isinstance(value, list) else [value]
    for sentence in sentences:
        if not isinstance(sentence, str):
            what = f"expected a summary's text or a list of its sentences, found {shown(value)}"
            raise UserError(what, where, REMEDY)
    return "\n".join(sentences)


def _summarized(record: Any, number: int, records: Records) -> Summarized:
    where, remedy = records.where(number), records.remedy
    name = first_name(record, DOCUMENTS) if isinstance(record, dict) else DOCUMENTS[0]
    document = field(record, name, str, where, remedy)
    value = record.get(first_name(record, SUMMARIES))
    return Summarized(
        row_id(record, number, records), where, document, None if value is None else summary_text(value, where)
    )
