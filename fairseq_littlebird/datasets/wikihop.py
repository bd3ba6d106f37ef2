"""WikiHop (QAngaroo) JSON: a relation and a subject, candidate answers, and supporting paragraphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.datasets.registry import add_dataset
from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field, identity
from fairseq_littlebird.inference.final_answer import best_segment
from fairseq_littlebird.metrics import wikihop as official
from fairseq_littlebird.metrics.json_files import read_json, read_texts
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.text.answer_spec import CANDIDATES
from fairseq_littlebird.text.example import Answer, QAExample, Segment
from fairseq_littlebird.text.global_tokens import CANDIDATE, PARAGRAPH, QUESTION, SENTENCE, GlobalInput
from fairseq_littlebird.text.paragraphs import Paragraphs
from fairseq_littlebird.text.tokenizers import without_surrogates

REMEDY = "give a WikiHop JSON file"


def parse(records: Records, log: ReadingLog) -> Iterator[QAExample]:
    """The questions of a WikiHop file, in its order.

    The document is the candidates, then the paragraphs. Segments are the candidates, named by their text; the answer
    stands where its candidate does. The candidates must stay whole where the document is cut.

    Args:
        records: the file's; with answers or without.
        log: skips bad records if it is to.
    Raises:
        UserError: the file is not UTF-8, not JSON, or not of this format (names the record).
    """
    for number, record in records:
        with log.record():
            yield _example(record, records.where(number))


def _example(record: Any, where: str) -> QAExample:
    name = without_surrogates(identity(record, "id", where, REMEDY))
    where = f"{where} (id {name})"
    answer = without_surrogates(field(record, "answer", str, where, REMEDY, default=""))
    paragraphs, segments = Paragraphs(), []
    for candidate in _texts(record, "candidates", where):
        start = paragraphs.add(candidate)
        segments.append(Segment(start, start + len(candidate), candidate == answer, candidate))
    fixed = len(paragraphs.pieces)
    for support in _texts(record, "supports", where):
        paragraphs.add(support)
    gold = [Answer(segment.name, segment.start) for segment in segments if segment.gold]
    return QAExample(
        id=name,
        question=without_surrogates(field(record, "query", str, where, REMEDY)).replace("_", " "),
        document=paragraphs.document,
        answers=tuple(gold) or ((Answer(answer, -1),) if answer else ()),
        pieces=paragraphs.pieces,
        segments=tuple(segments),
        fixed_pieces=fixed,
        labelled="answer" in record,
    )


def _texts(record: Any, name: str, where: str) -> list[str]:
    texts = field(record, name, list, where, REMEDY)
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise UserError(f"another JSON format ({name!r} is not a list of texts)", where=where, remedy=REMEDY)
    return [without_surrogates(text) for text in texts]


WIKIHOP = add_dataset(
    DatasetSpec(
        name="wikihop",
        title="WikiHop",
        parse=parse,
        remedy=REMEDY,
        file_format="WikiHop's JSON",
        matches=lambda record: {"query", "candidates", "supports"} <= record.keys(),
        segments=CANDIDATES,
        global_input=GlobalInput(
            kinds=(QUESTION, CANDIDATE, PARAGRAPH, SENTENCE), maximum=430, kinds_in_text=(QUESTION, CANDIDATE)
        ),
        final_answer=best_segment,
        official_metric=OfficialMetric(
            read_gold=read_json,
            read_predictions=read_texts,
            answers=official.answers,
            evaluate=official.evaluate,
        ),
    )
)
