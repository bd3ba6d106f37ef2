"""Labelled texts: rows of JSON or of a table, and exports of Label Studio and doccano."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.problem_type import MULTI_LABEL, REGRESSION, SCORE, SINGLE_LABEL
from fairseq_littlebird.formats.questions.rows import first_name, row_id
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import alike, finite_number
from fairseq_littlebird.formats.scalars import field as member

REMEDY = 'give {"text": "…", "label": "…"} or {"text": "…", "labels": ["…", "…"]} a line, or such columns'

COLUMNS_REMEDY = "give a first row of names: text and label or labels, text2 for the second of a pair"

_TEXTS = ("text", "sentence", "sentence1", "data", "document")
_SECONDS = ("text2", "sentence2", "text_pair")
_SCORES = (SCORE, "label")
_LABELS = ("label", "labels")
PARTS = ("id", "text", "text2", "label", "labels", SCORE)
"""What columns may be named for."""


@dataclass(frozen=True)
class TextOptions:
    """How records become texts, where the file does not say.

    Args:
        regression: texts have a score, ``score`` or ``label``, instead of labels.
        columns: one of ``PARTS`` -> the name of the column or the JSON member that has it; of a table without a row of
            names its number, from 1.
        header: whether the first row of a table has the names of the columns.
        quotes: whether cells of a table may be quoted.
    """

    regression: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    header: bool = True
    quotes: bool = True


AS_THEY_COME = TextOptions()


class Text(NamedTuple):
    """A text, or a pair of texts, with its labels.

    Args:
        id: given, or made of the file's name and the record's number.
        where: file and record, for errors.
        text: of any length.
        second: the second of a pair, or None.
        labels: without repetitions; None where the text has no label (which is not an empty list of labels).
        problem_type: what the record shows: one label, a list of them, a score; None where it has none, or a list of
            one, where a single label may be meant.
        score: of regression; None where the text has none.
    """

    id: str
    where: str
    text: str
    second: str | None
    labels: tuple[str, ...] | None
    problem_type: str | None
    score: float | None = None


def parse_texts(records: Records, log: ReadingLog, options: TextOptions = AS_THEY_COME) -> Iterator[Text]:
    """The texts of a file, in its order.

    Raises:
        UserError: names the record that is not of this format, or the column that the file has not.
    """
    if options.columns and records.columns:
        for column in options.columns.values():
            if column not in records.columns:
                near = alike(dict.fromkeys(records.columns), column)
                what = f"no column {column!r}{near} (its columns: {', '.join(records.columns)})"
                raise UserError(what, f"{records.path}, line 1", "correct --columns")
    elif options.header:
        records.check_columns(_TEXTS, COLUMNS_REMEDY)
    elif records.columns:
        remedy = "say which column has what, as in --columns text=1 label=2"
        raise UserError("--no-header without --columns", str(records.path), remedy)
    for number, record in records:
        with log.record():
            if isinstance(record, UserError):
                raise record
            own = _renamed(record, options.columns)
            if number == 1 and not options.header and records.columns:
                _check_record(own, records.where(number))
            yield _text(own, number, records, log, options.regression)


def _renamed(record: Any, columns: Mapping[str, str]) -> Any:
    """A record with our names for the columns that have been named, and without others that mean the same."""
    if not columns or not isinstance(record, dict):
        return record
    taken = {*_TEXTS, *columns.values(), *(_SECONDS if "text2" in columns else ())}
    taken |= {*_LABELS, SCORE} if columns.keys() & {*_LABELS, SCORE} else set()
    return {name: value for name, value in record.items() if name not in taken} | {
        ours: record[theirs] for ours, theirs in columns.items() if theirs in record
    }


def _check_record(record: dict[str, Any], where: str) -> None:
    """Raises UserError where the first row of a table without names holds nothing but names."""
    names = {*_TEXTS, *_SECONDS, *_LABELS, SCORE, "id", "question", "question1", "question2", "gold_label"}
    cells = [str(record[part]).strip().lower() for part in PARTS if part in record]
    if cells and all(cell in names for cell in cells):
        raise UserError(f"a row of names ({', '.join(cells)})", where, "leave out --no-header")


def label_name(value: Any, where: str, log: ReadingLog) -> str:
    """A label as text: true and false as JSON has them, whole numbers without a fraction.

    Raises:
        UserError: it is something else, or empty, or has white space around it.
    """
    if isinstance(value, (bool, float)):
        kind = "true or false" if isinstance(value, bool) else "a float"
        log.note(f"a label is {kind}, taken as text", where)
    name = scalar_label(value)
    if name is None:
        raise UserError(f"expected a label, found {shown(value)}", where, "give a text or a number")
    if name != name.strip() or len(name.splitlines()) != 1:
        raise UserError(f"the label {name!r} is empty, or has white space around it", where, "name it otherwise")
    return name


def label_order(label: str) -> tuple[bool, int, str]:
    """The key by which labels are sorted: numbers as numbers, before names."""
    number = label.isascii() and label.isdecimal()
    return not number, int(label) if number else 0, label


def scalar_label(value: Any) -> str | None:
    """What a text, a number or a truth value is called as a label; None for everything else."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return (str(int(value)) if value.is_integer() else str(value)) if math.isfinite(value) else None
    return str(value) if isinstance(value, (str, int)) else None


def _text(record: Any, number: int, records: Records, log: ReadingLog, regression: bool) -> Text:
    where, remedy = records.where(number), records.remedy
    data = record.get("data") if isinstance(record, dict) else None
    texts = data if isinstance(data, dict) else record  # of Label Studio
    text = member(texts, first_name(texts, _TEXTS) if isinstance(texts, dict) else "text", str, where, remedy)
    second = first_name(texts, _SECONDS)
    pair = member(texts, second, str, where, remedy) if second in texts else None
    if pair is not None and not (text.strip() and pair.strip()):
        empty = "text2" if text.strip() else "text"
        raise UserError(f"an empty {empty}", where, "give both sides of a pair")
    if regression:
        score = _score(record, where)
        kind = None if score is None else REGRESSION
        return Text(row_id(record, number, records), where, text, pair, None, kind, score)
    labels, kind = _choices(record, where, remedy, log) if texts is data else _labels(record, where, remedy, log)
    if records.layout == "table" and labels == ("",):
        labels = None
    elif labels is not None:
        labels = tuple(dict.fromkeys(label_name(label, where, log) for label in labels))
    return Text(row_id(record, number, records), where, text, pair, labels, kind)


def _score(record: dict[str, Any], where: str) -> float | None:
    """The score of a record; None where it has none, as a table's empty cell."""
    value = record.get(first_name(record, _SCORES))
    if value is None or value == "":
        return None
    return finite_number(value, SCORE, where, "give a number, or leave out --problem-type regression")


def _labels(record: dict[str, Any], where: str, remedy: str, log: ReadingLog) -> tuple[Any, str | None]:
    """The labels of a record as they are, and the problem type that shows in them."""
    label, labels = (
        None if isinstance(v, float) and math.isnan(v) else v for v in map(record.get, ("label", "labels"))
    )
    if label is not None and labels is not None:
        raise UserError('both "label" and "labels" here', where=where, remedy="keep one of them")
    if isinstance(label, list):
        return tuple(label), None if len(label) == 1 else MULTI_LABEL  # doccano has a list for a single label too
    if isinstance(labels, list):
        return tuple(labels), MULTI_LABEL
    if isinstance(labels, str):
        member(record, "labels", list, where, remedy)
    value = label if labels is None else labels
    return (None if value is None else (value,)), SINGLE_LABEL


def _choices(task: dict[str, Any], where: str, remedy: str, log: ReadingLog) -> tuple[Any, str | None]:
    """The choices that annotators made in a task of Label Studio."""
    done = member(task, first_name(task, ("annotations", "completions")), list, where, remedy, default=[])
    results = [result for a in done for result in member(a, "result", list, where, remedy, default=[])]
    values = [r["value"] for r in results if isinstance(r, dict) and isinstance(r.get("value"), dict)]
    choices = [choice for value in values for choice in member(value, "choices", list, where, remedy, default=[])]
    several = len(set(map(str, choices))) != 1
    return (tuple(choices) if done else None), (MULTI_LABEL if done else SINGLE_LABEL) if several else None
