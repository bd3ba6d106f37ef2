"""SQuAD 1.1 and 2.0 JSON, which KorQuAD 1.0 shares; one article in memory at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.answers import locate
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.readers.files import open_text
from fairseq_littlebird.text.tokenizers import without_surrogates

PARAGRAPH_BREAK = "\n\n"
"""What stands between two paragraphs of a joined article."""

_REMEDY = "give a SQuAD 1.1, SQuAD 2.0 or KorQuAD 1.0 JSON file"
_CHUNK = 1 << 20
_DECODER = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"[ \t\r\n]*")


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
        for number, article in enumerate(_articles(stream, path), start=1):
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
        _example(question, context, title, f"{where}, question {i}")
        for i, question in enumerate(questions, start=1)
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
    if not isinstance(record, dict):
        raise UserError("another JSON format (an object was expected here)", where=where, remedy=_REMEDY)
    value = record.get(name)
    if value is None and default is not None:
        return default
    if name not in record:
        raise UserError(f"another JSON format (no {name!r} here)", where=where, remedy=_REMEDY)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(
            f"another JSON format ({name!r} is {type(value).__name__}, not {kind.__name__})",
            where=where,
            remedy=_REMEDY,
        )
    return value


def _articles(stream: TextIO, path: Path) -> Iterator[Any]:
    """The elements of the list under the top object's key "data", each decoded when it is asked for."""
    text = _Scanner(stream, path)
    text.expect("{")
    found = False
    while text.peek() != "}":
        key = text.value()
        text.expect(":")
        if key == "data":
            found = True
            text.expect("[")
            while text.peek() != "]":
                yield text.value()
                if text.peek() != "]":
                    text.expect(",")
            text.expect("]")
        else:
            text.value()
        if text.peek() != "}":
            text.expect(",")
    text.expect("}")
    if text.peek():
        text.fail("text after the end")
    if not found:
        raise UserError("another JSON format (no 'data' at its top)", where=str(path), remedy=_REMEDY)


class _Scanner:
    """Decodes JSON values off the front of a stream, holding little more than one value."""

    def __init__(self, stream: TextIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._buffer = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer) or self._ended:
                return self._buffer[self._at : self._at + 1]
            self._read()

    def expect(self, character: str) -> None:
        if self.peek() != character:
            self.fail(f"{character!r} expected, found {self.peek() or 'the end of the file'!r}")
        self._at += 1

    def value(self) -> Any:
        if not self.peek():
            self.fail("a value expected, found the end of the file")
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except RecursionError:
                self.fail("nested too deeply")
            except ValueError as error:
                if self._ended:
                    self.fail(str(error).partition(":")[0])
            else:
                if end < len(self._buffer) or self._ended:
                    self._at = end
                    return value
            self._read()

    def fail(self, what: str) -> None:
        raise UserError(f"not valid JSON ({what})", where=str(self._path), remedy=_REMEDY)

    def _read(self) -> None:
        # reading as much again as is held keeps repeated decoding of one long value linear
        held = self._buffer[self._at :]
        more = self._stream.read(max(_CHUNK, len(held)))
        self._ended = not more
        self._buffer, self._at = held + more, 0
