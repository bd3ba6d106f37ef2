"""WikiHop (QAngaroo) JSON: a relation and a subject, candidate answers, and supporting paragraphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field, identity
from fairseq_littlebird.text.example import Answer, QAExample, Segment
from fairseq_littlebird.text.paragraphs import Paragraphs
from fairseq_littlebird.text.tokenizers import without_surrogates

REMEDY = "give a WikiHop JSON file"


def read_wikihop(records: Records, join_articles: bool, log: ReadingLog) -> Iterator[QAExample]:
    """The questions of a WikiHop file, in its order.

    The document is the candidates, then the paragraphs. Segments are the candidates, named by their text; the answer
    stands where its candidate does. The candidates must stay whole where the document is cut.

    Args:
        records: the file's; with answers or without.
        log: skips bad records if it is to.
        join_articles: must be False: the paragraphs of a question are one document anyway.
    Raises:
        UserError: the file is not UTF-8, not JSON, or not of this format (names the record).
    """
    if join_articles:
        raise UserError(
            "a WikiHop question has one document", where=str(records.path), remedy="leave out --join-articles"
        )
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
