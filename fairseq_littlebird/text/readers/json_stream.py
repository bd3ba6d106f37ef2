"""Long JSON files, one element of their list of records, or one of their lines, in memory at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from fairseq_littlebird.errors import UserError

_CHUNK = 1 << 20
_DECODER = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"[ \t\r\n]*")


def elements(stream: TextIO, path: Path, remedy: str, key: str | None = None) -> Iterator[Any]:
    """The elements of the list that a file is, or that its top object has under ``key``, each decoded when asked for.

    Args:
        stream: the text.
        path: its file, for errors.
        remedy: what an error tells the user to do.
        key: of the top object; None where the file is a list.
    Raises:
        UserError: not JSON, or no such list.
    """
    text = _Scanner(stream, path, remedy)
    if key is None:
        if text.peek() != "[":
            raise UserError("another JSON format (not a list of records)", where=str(path), remedy=remedy)
        yield from text.list()
    else:
        yield from _under(text, key)
    if text.peek():
        text.fail("text after the end")


def lines(stream: TextIO, path: Path, remedy: str) -> Iterator[tuple[int, Any]]:
    """The number, from 1, and the decoded value of each line that is not blank.

    Args:
        stream: the text.
        path: its file, for errors.
        remedy: what an error tells the user to do.
    Raises:
        UserError: a line is not JSON.
    """
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, strict=False)
        except (ValueError, RecursionError) as error:
            raise UserError("not valid JSON", where=f"{path}, line {number}", remedy=remedy) from error
        yield number, record


def field(record: Any, name: str, kind: type | tuple[type, ...], where: str, remedy: str, default: Any = None) -> Any:
    """A member of a decoded object.

    Raises:
        UserError: the record is no object, lacks the member (unless there is a default), or it is of another type.
    """
    if not isinstance(record, dict):
        raise UserError("another JSON format (an object was expected here)", where=where, remedy=remedy)
    value = record.get(name)
    if value is None and default is not None:
        return default
    if name not in record:
        raise UserError(f"another JSON format (no {name!r} here)", where=where, remedy=remedy)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        wanted = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise UserError(
            f"another JSON format ({name!r} is {type(value).__name__}, not {wanted})", where=where, remedy=remedy
        )
    return value


def _under(text: _Scanner, key: str) -> Iterator[Any]:
    text.expect("{")
    found, more = False, text.peek() != "}"
    while more:
        name = text.value()
        if not isinstance(name, str):
            text.fail("a name expected")
        text.expect(":")
        if name == key:
            found = True
            yield from text.list()
        else:
            text.value()
        more = text.peek() != "}"
        if more:
            text.expect(",")
    text.expect("}")
    if not found and not text.peek():
        raise UserError(f"another JSON format (no {key!r} at its top)", where=str(text.path), remedy=text.remedy)


class _Scanner:
    """Decodes JSON values off the front of a stream, holding little more than one value."""

    def __init__(self, stream: TextIO, path: Path, remedy: str) -> None:
        self.path = path
        self.remedy = remedy
        self._stream = stream
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

    def list(self) -> Iterator[Any]:
        """The elements of the list that comes next."""
        self.expect("[")
        more = self.peek() != "]"
        while more:
            yield self.value()
            more = self.peek() != "]"
            if more:
                self.expect(",")
        self.expect("]")

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

    def fail(self, what: str) -> NoReturn:
        raise UserError(f"not valid JSON ({what})", where=str(self.path), remedy=self.remedy)

    def _read(self) -> None:
        # reading as much again as is held keeps repeated decoding of one long value linear
        held = self._buffer[self._at :]
        more = self._stream.read(max(_CHUNK, len(held)))
        self._ended = not more
        self._buffer, self._at = held + more, 0
