"""SQuAD 1.1 and 2.0 JSON, which KorQuAD 1.0 shares; one article in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_littlebird.text.answers import locate
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.readers.files import open_text
from fairseq_littlebird.text.readers.json_stream import elements, field
from fairseq_littlebird.text.readers.paragraphs import PARAGRAPH_BREAK
from fairseq_littlebird.text.tokenizers import without_surrogates

_REMEDY = "give a SQuAD 1.1, SQuAD 2.0 or KorQuAD 1.0 JSON file"


def read_squad(path: Path, join_articles: bool = False) -> Iterator[QAExample]:
    """The examples of a SQuAD file, in its order.

    Args:
        path: the file, plain or gzipped.
        join_articles: the paragraphs of an article, ``PARAGRAPH_BREAK`` between them, become one document;
            answer offsets move with their paragraphs.

    Raises:
        UserError: the file is not UTF-8, not JSON, or not of this format (names article and question).
    """
    with open_text(path) as stream:
        for number, article in enumerate(elements(stream, path, _REMEDY, "data"), start=1):
            where = f"{path}, article {number}"
            title = without_surrogates(_field(article, "title", str, where, default=""))
            paragraphs = [
                _paragraph(paragraph, title, f"{where}, paragraph {i}")
                for i, paragraph in enumerate(_field(article, "paragraphs", list, where), start=1)
            ]
            if join_articles:
                yield from _joined(paragraphs)
            else:
                for _, examples in paragraphs:
                    yield from examples


def _paragraph(paragraph: Any, title: str, where: str) -> tuple[str, list[QAExample]]:
    context = without_surrogates(_field(paragraph, "context", str, where))
    questions = _field(paragraph, "qas", list, where)
    return context, [
        _example(question, context, title, f"{where}, question {i}") for i, question in enumerate(questions, start=1)
    ]


def _example(question: Any, context: str, title: str, where: str) -> QAExample:
    identity = without_surrogates(_field(question, "id", str, where))
    where = f"{where} (id {identity})"
    unanswerable = _field(question, "is_impossible", bool, where, default=False)
    answers = () if unanswerable else _field(question, "answers", list, where, default=[])
    return QAExample(
        id=identity,
        question=without_surrogates(_field(question, "question", str, where)),
        document=context,
        answers=tuple(
            Answer(
                without_surrogates(_field(answer, "text", str, where)),
                _field(answer, "answer_start", int, where),
            )
            for answer in answers
        ),
        title=title,
    )


def _joined(paragraphs: list[tuple[str, list[QAExample]]]) -> Iterator[QAExample]:
    document = PARAGRAPH_BREAK.join(context for context, _ in paragraphs)
    shift = 0
    for context, examples in paragraphs:
        for example in examples:
            answers = tuple(_shifted(answer, context, shift) for answer in example.answers)
            yield QAExample(example.id, example.question, document, answers, example.title)
        shift += len(context) + len(PARAGRAPH_BREAK)


def _shifted(answer: Answer, context: str, shift: int) -> Answer:
    # an answer that its own paragraph does not hold must not be found in a neighbour
    return Answer(answer.text, answer.start + shift if locate(context, answer) is not None else -1)


def _field(record: Any, name: str, kind: type, where: str, default: Any = None) -> Any:
    return field(record, name, kind, where, _REMEDY, default)
