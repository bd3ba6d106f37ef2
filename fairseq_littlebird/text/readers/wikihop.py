"""WikiHop (QAngaroo) JSON: a relation and a subject, candidate answers, and supporting paragraphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.example import Answer, QAExample, Segment
from fairseq_littlebird.text.readers.files import open_text
from fairseq_littlebird.text.readers.json_stream import elements, field
from fairseq_littlebird.text.readers.paragraphs import Paragraphs
from fairseq_littlebird.text.tokenizers import without_surrogates

_REMEDY = "give a WikiHop JSON file"


def read_wikihop(path: Path, join_articles: bool = False) -> Iterator[QAExample]:
    """The questions of a WikiHop file, in its order.

    The document is the candidates, then the paragraphs. Segments are the candidates, named by their text; the answer
    stands where its candidate does. The candidates must stay whole where the document is cut.

    Args:
        path: the file, plain or gzipped; with answers or without.
        join_articles: must be False: the paragraphs of a question are one document anyway.
    Raises:
        UserError: the file is not UTF-8, not JSON, or not of this format (names the record).
    """
    if join_articles:
        raise UserError("a WikiHop question has one document", where=str(path), remedy="leave out --join-articles")
    with open_text(path) as stream:
        for number, record in enumerate(elements(stream, path, _REMEDY), start=1):
            yield _example(record, f"{path}, record {number}")


def _example(record: Any, where: str) -> QAExample:
    identity = without_surrogates(field(record, "id", str, where, _REMEDY))
    where = f"{where} (id {identity})"
    answer = without_surrogates(field(record, "answer", str, where, _REMEDY, default=""))
    paragraphs, segments = Paragraphs(), []
    for candidate in _texts(record, "candidates", where):
        start = paragraphs.add(candidate)
        segments.append(Segment(start, start + len(candidate), candidate == answer, candidate))
    fixed = len(paragraphs.pieces)
    for support in _texts(record, "supports", where):
        paragraphs.add(support)
    gold = [Answer(segment.name, segment.start) for segment in segments if segment.gold]
    return QAExample(
        id=identity,
        question=without_surrogates(field(record, "query", str, where, _REMEDY)).replace("_", " "),
        document=paragraphs.document,
        answers=tuple(gold) or ((Answer(answer, -1),) if answer else ()),
        pieces=paragraphs.pieces,
        segments=tuple(segments),
        fixed_pieces=fixed,
    )


def _texts(record: Any, name: str, where: str) -> list[str]:
    texts = field(record, name, list, where, _REMEDY)
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise UserError(f"another JSON format ({name!r} is not a list of texts)", where=where, remedy=_REMEDY)
    return [without_surrogates(text) for text in texts]
