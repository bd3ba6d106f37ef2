"""Files with the right answers, in any format of questions, as the scorers of SQuAD's format take them."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from fairseq_littlebird.datasets.registry import check_format
from fairseq_littlebird.formats.questions import REMEDY, parse_passages
from fairseq_littlebird.formats.questions.record import Passage, Question
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import open_records


def read_squad_gold(path: str, log: ReadingLog | None = None) -> dict[str, Any]:
    """A file of one of ``formats.questions.FORMATS`` as SQuAD's JSON: ids are texts, answers without a text left out.

    Args:
        path: the file, plain or compressed; ``-`` is standard input.
        log: takes notes; without one, documents and questions may be missing.

    Raises:
        UserError: the file cannot be read, or is of another format.
    """
    with open_records(path, REMEDY) as records:
        check_format(records)
        grouped = groupby(
            parse_passages(records, log or ReadingLog(answers_alone=True)), key=lambda passage: passage.article
        )
        articles = [_article(list(passages)) for _, passages in grouped]
        return {"version": records.top.get("version"), "data": articles}


def _article(passages: list[Passage]) -> dict[str, Any]:
    paragraphs = [{"context": p.context, "qas": [_question(q) for q in p.questions]} for p in passages]
    return {"title": passages[0].title, "paragraphs": paragraphs}


def _question(question: Question) -> dict[str, Any]:
    record: dict[str, Any] = {"id": question.id, "question": question.question}
    if question.answers is not None:
        record["answers"] = [{"text": text, "answer_start": start} for text, start in question.answers]
    if question.impossible is not None:
        record["is_impossible"] = question.impossible
    return record
