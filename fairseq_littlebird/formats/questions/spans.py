"""Exports of tools that mark spans in a text, a question a text: Label Studio and doccano."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.questions.record import Format, GivenAnswer, Passage, Question, merged
from fairseq_littlebird.formats.questions.rows import ANSWERS, first_name, row_id
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field, text_member, whole_number

_TEXTS = ("text", "context", "document", "data")
_SPANS = ("label", "labels", "annotations", "entities")


def _is_label_studio(record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("data"), dict):
        return False
    return _annotations(record) in record or "question" in record["data"]


def _is_marked(record: Any) -> bool:
    if not isinstance(record, dict) or any(name in record for name in ANSWERS):
        return False
    return any(isinstance(record.get(name), list) for name in _SPANS)


def _annotations(task: dict[str, Any]) -> str:
    return first_name(task, ("annotations", "completions"))  # the older name


def _label_studio(records: Records, log: ReadingLog) -> Iterator[Passage]:
    yield from merged(_tasks(records, log))


def _tasks(records: Records, log: ReadingLog) -> Iterator[Passage]:
    for number, task in records:
        with log.record():
            where, remedy = records.where(number), records.remedy
            data = field(task, "data", dict, where, remedy)
            done = [a for a in field(task, _annotations(task), list, where, remedy, default=[]) if not _cancelled(a)]
            results = [r for a in done for r in field(a, "result", list, where, remedy, default=[])]
            spans = [r["value"] for r in results if isinstance(r, dict) and isinstance(r.get("value"), dict)]
            free_text = any("text" in span and "start" not in span for span in spans)
            spans = [span for span in spans if "start" in span]  # others are choices, ratings, regions
            if any("startOffset" in span for span in spans):  # their starts are paths in a page, or paragraphs
                remedy = "label it as plain text: Text and Labels controls in place of HyperText and HyperTextLabels"
                raise UserError("its answer is a region of HTML or of a dialogue, no span of a text", where, remedy)
            if free_text and not spans:
                remedy = "mark the answer in the text: a Labels control in place of TextArea"
                raise UserError("its answer is free text, and no span of the text", where, remedy)
            yield _passage(data, spans if done else None, row_id(task, number, records), number, records, log)


def _cancelled(annotation: Any) -> bool:
    return isinstance(annotation, dict) and bool(annotation.get("was_cancelled"))


def _marked(records: Records, log: ReadingLog) -> Iterator[Passage]:
    yield from merged(_texts(records, log))


def _texts(records: Records, log: ReadingLog) -> Iterator[Passage]:
    for number, record in records:
        with log.record():
            where, remedy = records.where(number), records.remedy
            spans = field(record, first_name(record, _SPANS), list, where, remedy)
            yield _passage(record, spans, row_id(record, number, records), number, records, log)


def _passage(
    data: dict[str, Any], spans: list[Any] | None, name: str, number: int, records: Records, log: ReadingLog
) -> Passage:
    where, remedy = f"{records.where(number)} (id {name})", records.remedy
    context = field(data, first_name(data, _TEXTS), str, where, remedy)
    meta = data.get("meta")
    asked = data if "question" in data or not isinstance(meta, dict) else meta
    if "question" not in asked:
        what = "an export of marked spans without a 'question' beside the text"
        raise UserError(what, where, "give each text its question in the annotation tool, as another field")
    answers = None
    if spans is not None:
        answers = tuple(dict.fromkeys(_answer(span, context, where, remedy, log) for span in spans))
    title = text_member(data, "title", where, remedy, log)
    question = field(asked, "question", str, where, remedy)
    asked_here = Question(where, name, question, answers, answers == () or None)
    return Passage(context, title, title or context, (asked_here,))


def _answer(span: Any, context: str, where: str, remedy: str, log: ReadingLog) -> GivenAnswer:
    """Of ``[start, end, label]`` or of an object with its start and end."""
    if isinstance(span, list) and len(span) >= 2:
        span = {"start_offset": span[0], "end_offset": span[1]}
    start_name = first_name(field({"span": span}, "span", dict, where, remedy), ("start_offset", "start"))
    end_name = first_name(span, ("end_offset", "end"))
    start, end = (whole_number(span.get(n), n, where, remedy, log) for n in (start_name, end_name))
    text = span.get("text")
    if isinstance(text, str) and text.strip():
        return GivenAnswer(text, start)
    if start is None or end is None or not 0 <= start < end <= len(context):
        raise UserError(f"a span {start} to {end} in a text of {len(context)} characters", where, remedy)
    return GivenAnswer(context[start:end], start)


LABEL_STUDIO = Format("a Label Studio export", _is_label_studio, _label_studio)
MARKED_TEXTS = Format("texts with marked spans, as doccano exports", _is_marked, _marked)
