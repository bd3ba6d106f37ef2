"""Formats of questions about a document, answered by a part of it. One format a file; the first that matches reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.formats.questions.record import Format, Passage
from fairseq_littlebird.formats.questions.rows import CONTEXTS, ROWS
from fairseq_littlebird.formats.questions.spans import LABEL_STUDIO, MARKED_TEXTS
from fairseq_littlebird.formats.questions.squad import SQUAD
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records

FORMATS: tuple[Format, ...] = (SQUAD, LABEL_STUDIO, MARKED_TEXTS, ROWS)

REMEDY = "give SQuAD's JSON, rows with question, context and answers (JSON or CSV), or a Label Studio or doccano export"

COLUMNS_REMEDY = "give a first row of names: question, context or text, and answer or answers"


def format_of(record: Any, strict: bool = False) -> Format | None:
    """The format of a record, the first of a file; None for another.

    Args:
        record: decoded, or the names of a table's columns.
        strict: whether it must be plainly of the format, and not only have the names that the format has.
    """
    form = next((form for form in FORMATS if form.matches(record)), None)
    if strict and form is SQUAD and "paragraphs" not in record:
        return None  # a paragraph alone is a record of other data sets, too
    if strict and form in (ROWS, MARKED_TEXTS) and not any(isinstance(record.get(name), str) for name in CONTEXTS):
        return None
    return form


def parse_passages(records: Records, log: ReadingLog) -> Iterator[Passage]:
    """The passages of a file in any of ``FORMATS``, in its order; the log learns in which.

    Raises:
        UserError: another format, or a record that is not of the first one's.
    """
    first = records.first
    if first is None:
        if not records.columns:
            return
        first = dict.fromkeys(records.columns)  # of a table without rows
    form = format_of(first)
    if form is None:
        records.check_columns((), COLUMNS_REMEDY)
    form = form or SQUAD  # which says what is missing
    log.formats[str(records.path)] = form.name
    yield from form.parse(records, log)
