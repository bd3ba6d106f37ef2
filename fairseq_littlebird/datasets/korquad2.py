"""KorQuAD 2.0 and 2.1 JSON: questions about whole web pages, answered by any part of their HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field, identity, text_member
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.html import html_pieces
from fairseq_littlebird.text.tokenizers import without_surrogates

REMEDY = "give a KorQuAD 2.0 or 2.1 JSON file"


def read_korquad2(records: Records, join_articles: bool, log: ReadingLog) -> Iterator[QAExample]:
    """The questions of a KorQuAD 2 file, in its order.

    The document is ``raw_html`` as it is, and the answers are parts of it; the model reads its pieces.

    Args:
        records: the file's; with answers or without.
        log: skips bad records if it is to.
        join_articles: must be False: a page is a document anyway.
    Raises:
        UserError: the file is not UTF-8, not JSON, or not of this format (names page and question).
    """
    if join_articles:
        raise UserError("a KorQuAD 2 page is one document", where=str(records.path), remedy="leave out --join-articles")
    for number, page in records:
        with log.record():
            yield from _page(page, records.where(number, "page"), log)


def _page(page: Any, where: str, log: ReadingLog) -> Iterator[QAExample]:
    # offsets count characters, so a lone surrogate must stay one character
    document = without_surrogates(field(page, "raw_html", str, where, REMEDY))
    title = text_member(page, "title", where, REMEDY, log)
    pieces = html_pieces(document)
    for i, question in enumerate(field(page, "qas", list, where, REMEDY), start=1):
        with log.record():
            name = without_surrogates(identity(question, "id", f"{where}, question {i}", REMEDY))
            spot = f"{where}, question {i} (id {name})"
            text = without_surrogates(field(question, "question", str, spot, REMEDY))
            answers = _answers(question, spot)
            yield QAExample(
                name, text, document, answers, without_surrogates(title), pieces, labelled="answer" in question
            )


def _answers(question: Any, where: str) -> tuple[Answer, ...]:
    answer = field(question, "answer", dict, where, REMEDY, default={})
    if not answer:
        return ()
    text = without_surrogates(field(answer, "html_answer_text", str, where, REMEDY))
    return (Answer(text, field(answer, "html_answer_start", int, where, REMEDY)),)
