"""MRQA 2019 JSON lines: a header line, then one context a line with its questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.readers.files import open_text
from fairseq_littlebird.text.readers.json_stream import field, lines
from fairseq_littlebird.text.tokenizers import without_surrogates

_REMEDY = "give an MRQA .jsonl or .jsonl.gz file"


def read_mrqa(path: Path, join_articles: bool = False) -> Iterator[QAExample]:
    """The examples of an MRQA file, in its order; a detected answer gives one answer a place.

    Args:
        path: ``.jsonl`` or ``.jsonl.gz``.
        join_articles: must be False; the format has no articles.

    Raises:
        UserError: the file is not UTF-8, not JSON lines, or not of this format (names line and question).
    """
    if join_articles:
        raise UserError("MRQA has no articles to join", where=str(path), remedy="leave out --join-articles")
    with open_text(path) as stream:
        for number, record in lines(stream, path, _REMEDY):
            where = f"{path}, line {number}"
            if isinstance(record, dict) and "header" in record and "context" not in record:
                continue
            context = without_surrogates(_field(record, "context", str, where))
            for i, question in enumerate(_field(record, "qas", list, where), start=1):
                yield _example(question, context, f"{where}, question {i}")


def _example(question: Any, context: str, where: str) -> QAExample:
    name = "qid" if isinstance(question, dict) and "qid" in question else "id"
    identity = without_surrogates(_field(question, name, str, where))
    where = f"{where} (id {identity})"
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
    return QAExample(identity, text, context, tuple(dict.fromkeys(answers)))


def _answers(detected: Any, context: str, where: str) -> Iterator[Answer]:
    text = without_surrogates(_field(detected, "text", str, where))
    for span in _field(detected, "char_spans", list, where):
        if not (isinstance(span, list) and len(span) == 2 and all(type(i) is int for i in span)):
            raise UserError("another JSON format (a char_spans entry is not [start, end])", where=where, remedy=_REMEDY)
        start, last = span
        # detection ignores case and spacing; what was detected is the context's own text
        found = context[max(start, 0) : last + 1]
        same = "".join(found.split()).casefold() == "".join(text.split()).casefold()
        yield Answer(found if same else text, start)


def _field(record: Any, name: str, kind: type, where: str, default: Any = None) -> Any:
    return field(record, name, kind, where, _REMEDY, default)
