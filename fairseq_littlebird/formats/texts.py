"""Labelled texts: rows of JSON or of a table, and exports of Label Studio and doccano."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.questions.rows import first_name, row_id
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field

REMEDY = 'give {"text": "…", "label": "…"} or {"text": "…", "labels": ["…", "…"]} a line, or such columns'

COLUMNS_REMEDY = "give a first row of names: text and label or labels, text2 for the second of a pair"

_TEXTS = ("text", "sentence", "sentence1", "data", "document")
_SECONDS = ("text2", "sentence2", "text_pair")


class Text(NamedTuple):
    """A text, or a pair of texts, with its labels.

    Args:
        id: given, or made of the file's name and the record's number.
        where: file and record, for errors.
        text: of any length.
        second: the second of a pair, or None.
        labels: without repetitions; None where the text has no label (which is not an empty list of labels).
        several: whether texts have lists of labels; None for a list of one where a single label may be meant.
    """

    id: str
    where: str
    text: str
    second: str | None
    labels: tuple[str, ...] | None
    several: bool | None


def parse_texts(records: Records, log: ReadingLog) -> Iterator[Text]:
    """The texts of a file, in its order.

    Raises:
        UserError: names the record that is not of this format.
    """
    records.check_columns(_TEXTS, COLUMNS_REMEDY)
    for number, record in records:
        with log.record():
            yield _text(record, number, records, log)


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


def scalar_label(value: Any) -> str | None:
    """What a text, a number or a truth value is called as a label; None for everything else."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return (str(int(value)) if value.is_integer() else str(value)) if math.isfinite(value) else None
    return str(value) if isinstance(value, (str, int)) else None


def _text(record: Any, number: int, records: Records, log: ReadingLog) -> Text:
    where, remedy = records.where(number), records.remedy
    data = record.get("data") if isinstance(record, dict) else None
    texts = data if isinstance(data, dict) else record  # of Label Studio
    text = field(texts, first_name(texts, _TEXTS) if isinstance(texts, dict) else "text", str, where, remedy)
    second = first_name(texts, _SECONDS)
    pair = field(texts, second, str, where, remedy) if second in texts else None
    labels, several = _choices(record, where, remedy, log) if texts is data else _labels(record, where, remedy, log)
    if records.layout == "table" and labels == ("",):
        labels = None
    elif labels is not None:
        labels = tuple(dict.fromkeys(label_name(label, where, log) for label in labels))
    return Text(row_id(record, number, records), where, text, pair, labels, several)


def _labels(record: dict[str, Any], where: str, remedy: str, log: ReadingLog) -> tuple[Any, bool | None]:
    """The labels of a record as they are, and whether they are a list."""
    label, labels = (
        None if isinstance(v, float) and math.isnan(v) else v for v in map(record.get, ("label", "labels"))
    )
    if label is not None and labels is not None:
        raise UserError('both "label" and "labels" here', where=where, remedy="keep one of them")
    if isinstance(label, list):
        return tuple(label), None if len(label) == 1 else True  # doccano has a list for a single label too
    if isinstance(labels, list):
        return tuple(labels), True
    if isinstance(labels, str):
        field(record, "labels", list, where, remedy)
    value = label if labels is None else labels
    return (None if value is None else (value,)), False


def _choices(task: dict[str, Any], where: str, remedy: str, log: ReadingLog) -> tuple[Any, bool | None]:
    """The choices that annotators made in a task of Label Studio."""
    done = field(task, first_name(task, ("annotations", "completions")), list, where, remedy, default=[])
    results = [result for a in done for result in field(a, "result", list, where, remedy, default=[])]
    values = [r["value"] for r in results if isinstance(r, dict) and isinstance(r.get("value"), dict)]
    choices = [choice for value in values for choice in field(value, "choices", list, where, remedy, default=[])]
    return (tuple(choices) if done else None), None if len(set(map(str, choices))) == 1 else bool(done)
