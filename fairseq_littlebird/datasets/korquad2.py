"""KorQuAD 2.0 and 2.1 JSON: questions about whole web pages, answered by any part of their HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.datasets.registry import add_dataset
from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field, identity, text_member
from fairseq_littlebird.metrics import korquad2 as official
from fairseq_littlebird.metrics.json_files import read_texts
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.metrics.text_metric import TextMetric
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.html import html_pieces
from fairseq_littlebird.text.tokenizers import without_surrogates

REMEDY = "give a KorQuAD 2.0 or 2.1 JSON file"


def parse(records: Records, log: ReadingLog) -> Iterator[QAExample]:
    """The questions of a KorQuAD 2 file, in its order.

    The document is ``raw_html`` as it is, and the answers are parts of it; the model reads its pieces.

    Args:
        records: the file's; with answers or without.
        log: skips bad records if it is to.
    Raises:
        UserError: the file is not UTF-8, not JSON, or not of this format (names page and question).
    """
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


KORQUAD2 = add_dataset(
    DatasetSpec(
        name="korquad2",
        title="KorQuAD 2",
        parse=parse,
        remedy=REMEDY,
        file_format="KorQuAD 2's JSON",
        matches=lambda record: {"raw_html", "qas"} <= record.keys(),
        document_pieces=html_pieces,
        max_answer_length=8192,  # whole tables
        validation_metric=TextMetric(official.exact_match, official.f1),
        official_metric=OfficialMetric(
            read_gold=official.read_gold,
            read_predictions=read_texts,
            answers=official.answers,
            evaluate=official.evaluate,
            many_gold_files=True,
        ),
    )
)
