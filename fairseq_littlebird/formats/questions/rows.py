"""A question a row, with its document: rows of Hugging Face's datasets, of a table, of pandas."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.questions.answers import answers_of, none_if_impossible
from fairseq_littlebird.formats.questions.record import Format, GivenAnswer, Passage, Question, merged
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import alike, field, identity, text_member, truth

_IDS = ("id", "qid", "question_id", "_id")
CONTEXTS = ("context", "document", "passage", "text")
ANSWERS = ("answers", "answer", "answer_text", "answer_texts")
_STARTS = ("answer_start", "answer_starts", "start")
_NUMPY_TEXT = re.compile(r"\{.*:\s*array\(\[", re.DOTALL)  # as pandas writes a cell of Parquet into a CSV


def first_name(record: dict[str, Any], names: tuple[str, ...]) -> str:
    """The first of the names that the record has; the first of all where it has none."""
    return next((name for name in names if name in record), names[0])


def row_id(record: dict[str, Any], number: int, records: Records) -> str:
    """The id of a row, or the file's name and the row's number."""
    name = first_name(record, _IDS)
    if record.get(name) in (None, ""):  # a table's empty cell
        return f"{records.path.name}:{number}"
    return identity(record, name, records.where(number), records.remedy)


def _matches(record: Any) -> bool:
    return isinstance(record, dict) and "question" in record and any(name in record for name in CONTEXTS)


def _parse(records: Records, log: ReadingLog) -> Iterator[Passage]:
    yield from merged(_passages(records, log))


def _passages(records: Records, log: ReadingLog) -> Iterator[Passage]:
    for number, record in records:
        with log.record():
            yield _passage(record, number, records, log)


def _passage(record: Any, number: int, records: Records, log: ReadingLog) -> Passage:
    where, remedy = records.where(number), records.remedy
    question = field(record, "question", str, where, remedy)
    context = field(record, first_name(record, CONTEXTS), str, where, remedy)
    name = row_id(record, number, records)
    where = f"{where} (id {name})"
    table = records.layout == "table"
    if table:  # its cells are text and nothing else, which is not leniency
        log = ReadingLog()
    title = text_member(record, "title", where, remedy, log)
    impossible = truth(record.get("is_impossible"), "is_impossible", where, remedy, log)
    answers = _answers(record, table, where, remedy, log)
    if answers is None and impossible:
        answers = ()
    answers = none_if_impossible(answers, bool(impossible), where, log)
    if answers == ():
        impossible = True  # Hugging Face's rows have empty lists, and nothing else to say so
    return Passage(context, title, title or context, (Question(where, name, question, answers, impossible),))


def _answers(
    record: dict[str, Any], table: bool, where: str, remedy: str, log: ReadingLog
) -> tuple[GivenAnswer, ...] | None:
    name = first_name(record, ANSWERS)
    value, start = record.get(name), record.get(first_name(record, _STARTS))
    if table:  # it has nothing but text
        value, start = _answers_in(value, where), _starts_in(start)
    if value is None:
        if name not in record and alike(record, "answers"):
            field(record, "answers", list, where, remedy)
        return None
    return answers_of(value, start, where, remedy, log)


def _answers_in(cell: str | None, where: str) -> Any:
    """The answers that a cell holds as text, as Python or JSON write them; otherwise its text, an answer itself."""
    found = _written(cell)
    if isinstance(found, dict) and "text" in found:
        return found
    if isinstance(found, list) and all(isinstance(item, str | dict) for item in found):
        return found
    if cell and _NUMPY_TEXT.match(cell):
        raise UserError("answers is the text of a numpy array", where, "write JSON lines instead")
    return cell


def _starts_in(cell: str | None) -> Any:
    """The start or starts that a cell holds as text."""
    return int(cell) if cell and cell.isdecimal() else _written(cell)


def _written(cell: str | None) -> Any:
    """A list or an object from its text; any other text as it is."""
    if not cell or not cell.startswith(("{", "[")):
        return cell
    for read in (json.loads, ast.literal_eval):
        try:
            return read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return cell


ROWS = Format("rows of questions", _matches, _parse)
