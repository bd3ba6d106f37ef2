"""Formats of questions about a document, answered by a part of it. One format a file; the first that matches reads."""

from __future__ import annotations

from collections.abc import Iterator

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.questions.record import Format, Passage
from fairseq_littlebird.formats.questions.rows import ROWS
from fairseq_littlebird.formats.questions.spans import LABEL_STUDIO, MARKED_TEXTS
from fairseq_littlebird.formats.questions.squad import SQUAD
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records

FORMATS: tuple[Format, ...] = (SQUAD, LABEL_STUDIO, MARKED_TEXTS, ROWS)

REMEDY = "give SQuAD's JSON, rows with question, context and answers (JSON or CSV), or a Label Studio or doccano export"

COLUMNS_REMEDY = "give the columns question, context or text, and answer or answers"


def parse_passages(records: Records, log: ReadingLog) -> Iterator[Passage]:
    """The passages of a file in any of ``FORMATS``, in its order; the log learns in which.

    Raises:
        UserError: another format, or a record that is not of the first one's.
    """
    if records.first is None:
        return
    form = next((form for form in FORMATS if form.matches(records.first)), None)
    if form is None and records.layout == "table":
        raise UserError(f"its columns are {', '.join(records.first)}", str(records.path), COLUMNS_REMEDY)
    form = form or SQUAD  # which says what is missing
    log.formats[str(records.path)] = form.name
    yield from form.parse(records, log)
