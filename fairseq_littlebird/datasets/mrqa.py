"""MRQA 2019 JSON lines: a header line, then one context a line with its questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.datasets.registry import add_dataset
from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field, identity
from fairseq_littlebird.metrics import mrqa as official
from fairseq_littlebird.metrics.json_files import read_json_lines, read_texts
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.tokenizers import without_surrogates

REMEDY = "give an MRQA .jsonl or .jsonl.gz file"


def parse(records: Records, log: ReadingLog) -> Iterator[QAExample]:
    """The examples of an MRQA file, in its order; a detected answer gives one answer a place.

    Args:
        records: the file's; with answers or without.
        log: skips bad records if it is to.

    Raises:
        UserError: the file is not UTF-8, not JSON lines, or not of this format (names line and question).
    """
    for number, record in records:
        where = records.where(number)
        if isinstance(record, dict) and "header" in record and "context" not in record:
            continue
        with log.record():
            context = without_surrogates(_field(record, "context", str, where))
            for i, question in enumerate(_field(record, "qas", list, where), start=1):
                with log.record():
                    yield _example(question, context, f"{where}, question {i}")


def _example(question: Any, context: str, where: str) -> QAExample:
    name = "qid" if isinstance(question, dict) and "qid" in question else "id"
    own = without_surrogates(identity(question, name, where, REMEDY))
    where = f"{where} (id {own})"
    answers = [
        answer
        for detected in _field(question, "detected_answers", list, where, default=[])
        for answer in _answers(detected, context, where)
    ]
    if not answers:
        # gold texts without a place: scored, never trained on
        texts = _field(question, "answers", list, where, default=[])
        answers = [Answer(without_surrogates(text), -1) for text in texts if isinstance(text, str)]
    text = without_surrogates(_field(question, "question", str, where))
    labelled = bool({"answers", "detected_answers"} & question.keys())
    return QAExample(own, text, context, tuple(dict.fromkeys(answers)), labelled=labelled)


def _answers(detected: Any, context: str, where: str) -> Iterator[Answer]:
    text = without_surrogates(_field(detected, "text", str, where))
    for span in _field(detected, "char_spans", list, where):
        if not (isinstance(span, list) and len(span) == 2 and all(type(i) is int for i in span)):
            raise UserError("another JSON format (a char_spans entry is not [start, end])", where=where, remedy=REMEDY)
        start, last = span
        # detection ignores case and spacing; what was detected is the context's own text
        found = context[max(start, 0) : last + 1]
        same = "".join(found.split()).casefold() == "".join(text.split()).casefold()
        yield Answer(found if same else text, start)


def _field(record: Any, name: str, kind: type, where: str, default: Any = None) -> Any:
    return field(record, name, kind, where, REMEDY, default)


def _matches(record: dict[str, Any]) -> bool:
    if "qas" not in record:
        return "header" in record
    first = next(iter(record["qas"]), None) if isinstance(record["qas"], list) else None
    return "context" in record and isinstance(first, dict) and bool({"qid", "detected_answers"} & first.keys())


MRQA = add_dataset(
    DatasetSpec(
        name="mrqa",
        title="MRQA",
        parse=parse,
        remedy=REMEDY,
        file_format="MRQA's JSON lines",
        matches=_matches,
        limit_from_training=True,
        official_metric=OfficialMetric(
            read_gold=read_json_lines,
            read_predictions=read_texts,
            answers=official.answers,
            evaluate=official.evaluate,
        ),
    )
)
