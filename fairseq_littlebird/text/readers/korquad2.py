"""KorQuAD 2.0 and 2.1 JSON: questions about whole web pages, answered by any part of their HTML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.html import html_pieces
from fairseq_littlebird.text.readers.files import open_text
from fairseq_littlebird.text.readers.json_stream import elements, field
from fairseq_littlebird.text.tokenizers import without_surrogates

_REMEDY = "give a KorQuAD 2.0 or 2.1 JSON file"


def read_korquad2(path: Path, join_articles: bool = False) -> Iterator[QAExample]:
    """The questions of a KorQuAD 2 file, in its order.

    The document is ``raw_html`` as it is, and the answers are parts of it; the model reads its pieces.

    Args:
        path: the file, plain or gzipped.
        join_articles: must be False: a page is a document anyway.
    Raises:
        UserError: the file is not UTF-8, not JSON, or not of this format (names page and question).
    """
    if join_articles:
        raise UserError("a KorQuAD 2 page is one document", where=str(path), remedy="leave out --join-articles")
    with open_text(path) as stream:
        for number, page in enumerate(elements(stream, path, _REMEDY, "data"), start=1):
            where = f"{path}, page {number}"
            # offsets count characters, so a lone surrogate must stay one character
            document = without_surrogates(field(page, "raw_html", str, where, _REMEDY))
            title = without_surrogates(field(page, "title", str, where, _REMEDY, default=""))
            pieces = html_pieces(document)
            for i, question in enumerate(field(page, "qas", list, where, _REMEDY), start=1):
                identity = without_surrogates(field(question, "id", str, f"{where}, question {i}", _REMEDY))
                spot = f"{where}, question {i} (id {identity})"
                text = without_surrogates(field(question, "question", str, spot, _REMEDY))
                yield QAExample(identity, text, document, _answers(question, spot), title, pieces)


def _answers(question: Any, where: str) -> tuple[Answer, ...]:
    answer = field(question, "answer", dict, where, _REMEDY, default={})
    if not answer:
        return ()
    text = without_surrogates(field(answer, "html_answer_text", str, where, _REMEDY))
    return (Answer(text, field(answer, "html_answer_start", int, where, _REMEDY)),)
