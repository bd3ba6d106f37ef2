"""SQuAD's layout: articles of paragraphs of questions; annotation tools write it too, with other ids and scalars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.formats.questions.answers import answers_of, none_if_impossible
from fairseq_littlebird.formats.questions.record import Format, Passage, Question
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import alike, field, identity, text_member, truth


def _matches(record: Any) -> bool:
    return isinstance(record, dict) and ("paragraphs" in record or {"context", "qas"} <= record.keys())


def _parse(records: Records, log: ReadingLog) -> Iterator[Passage]:
    counted: dict[int, int] = {}  # a long article comes in several records
    remedy = records.remedy
    for number, article in records:
        where = records.where(number, "article")
        with log.record():
            if isinstance(article, dict) and "qas" in article:  # a list of paragraphs alone
                yield _paragraph(article, "", number, records.where(number), remedy, log)
                continue
            paragraphs = field(article, "paragraphs", list, where, remedy)
            title = text_member(article, "title", where, remedy, log)
            for paragraph in paragraphs:
                counted[number] = counted.get(number, 0) + 1
                with log.record():
                    spot = f"{where}, paragraph {counted[number]}"
                    yield _paragraph(paragraph, title, number, spot, remedy, log)


def _paragraph(paragraph: Any, title: str, article: int, where: str, remedy: str, log: ReadingLog) -> Passage:
    context = field(paragraph, "context", str, where, remedy, default=_default(log))
    questions = []
    for number, question in enumerate(field(paragraph, "qas", list, where, remedy), start=1):
        with log.record():
            questions.append(_question(question, f"{where}, question {number}", remedy, log))
    return Passage(context, title, article, tuple(questions))


def _default(log: ReadingLog) -> str | None:
    """What stands for a text that is missing; None where it must not be."""
    return "" if log.answers_alone else None


def _question(question: Any, where: str, remedy: str, log: ReadingLog) -> Question:
    name = identity(question, "id", where, remedy)
    where = f"{where} (id {name})"
    impossible = truth(question.get("is_impossible"), "is_impossible", where, remedy, log)
    value = question.get("answers")
    answers = None
    if value is not None:
        answers = answers_of(field(question, "answers", (list, dict), where, remedy), None, where, remedy, log)
        if value and not answers:
            impossible = True  # empty ones, as Haystack's NOT_GIVEN
    elif impossible:
        answers = ()
    elif alike(question, "answers"):
        field(question, "answers", list, where, remedy)
    answers = none_if_impossible(answers, impossible, where, log)
    return Question(
        where, name, field(question, "question", str, where, remedy, default=_default(log)), answers, impossible
    )


SQUAD = Format("SQuAD's JSON", _matches, _parse)
