"""Answers in all the shapes that files have them in."""

from __future__ import annotations

import math
from typing import Any

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.questions.record import GivenAnswer
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.scalars import field, whole_number

_START = "answer_start"


def listed_answers(value: list[Any], where: str, remedy: str, log: ReadingLog) -> tuple[GivenAnswer, ...]:
    """Of a list of ``{"text", "answer_start"}``, as SQuAD has it, or of texts; an empty text is not an answer.

    Raises:
        UserError: the list holds something else.
    """
    answers = (_answer(item, where, remedy, log) for item in value)
    return tuple(answer for answer in answers if answer.text.strip())


def answers_of(value: Any, start: Any, where: str, remedy: str, log: ReadingLog) -> tuple[GivenAnswer, ...]:
    """Of a text, an object of one or of lists, as Hugging Face's rows have it, or a list.

    Args:
        value: the answer or answers.
        start: where it starts, if that stands beside the value; None otherwise.
        where: file and record, for errors.
        remedy: what an error tells the user to do.
        log: takes the notes.

    Raises:
        UserError: the value is something else.
    """
    if isinstance(value, dict):
        return listed_answers(_transposed(value, where, remedy), where, remedy, log)
    if isinstance(value, list) and not isinstance(start, list):
        return listed_answers(value, where, remedy, log)
    texts, starts = (v if isinstance(v, list) else [v] for v in (value, start))
    if len(texts) != len(starts):
        raise UserError(f"{len(texts)} answers and {len(starts)} starts", where, remedy)
    pairs = [{"text": text, _START: s} for text, s in zip(texts, starts, strict=True)]
    return listed_answers(pairs, where, remedy, log)


def _transposed(value: dict[str, Any], where: str, remedy: str) -> list[dict[str, Any]]:
    """A list of answers from an object of lists, or from one answer."""
    texts = field(value, "text", (list, str, int, float), where, remedy)
    starts = value.get(_START)
    if not isinstance(texts, list):
        return [{"text": texts, _START: starts}]
    if starts is None:
        starts = [None] * len(texts)
    if not isinstance(starts, list) or len(starts) != len(texts):
        raise UserError(f"another JSON format (not one {_START!r} for each 'text')", where, remedy)
    return [{"text": text, _START: start} for text, start in zip(texts, starts, strict=True)]


def _answer(item: Any, where: str, remedy: str, log: ReadingLog) -> GivenAnswer:
    if not isinstance(item, dict):
        item = {"text": item}
    text = item.get("text")
    if isinstance(text, float) and math.isnan(text) or text is None and "text" in item:
        text = ""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        log.note("an answer is a number, taken as text", where)
        text = str(text)
    if not isinstance(text, str):
        if "text" not in item:
            field(item, "text", str, where, remedy)
        raise UserError(f"another JSON format (an answer is {shown(text)})", where, remedy)
    start = whole_number(item.get(_START), _START, where, remedy, log)
    return GivenAnswer(text, None if start is None else max(0, start))  # a wrong one is repaired


def none_if_impossible(
    answers: tuple[GivenAnswer, ...] | None, impossible: bool | None, where: str, log: ReadingLog
) -> tuple[GivenAnswer, ...] | None:
    """No answers where the record also says that there is none, which is noted."""
    if not (answers and impossible):
        return answers
    log.note("answers with is_impossible true, taken as unanswerable", where)
    return ()
