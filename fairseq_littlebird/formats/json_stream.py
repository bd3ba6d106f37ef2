"""JSON decoded off the front of a stream, one value in memory at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

from fairseq_littlebird.errors import UserError

_CHUNK = 1 << 20
_GROWTH = 4
"""A longer value is decoded again once so many times as much is held: the failed tries add a third to its time."""

_UNFINISHED = 2
"""Characters at the end of what is held that may be the beginning of a number's fraction or exponent, as in ``1e+``."""

_DECODER = json.JSONDecoder(strict=False)  # line ends and tabs inside strings are characters like others
_SPACE = re.compile(r"[ \t\r\n]*")


class JsonStream:
    """Decodes the values of a text from its front.

    Args:
        stream: the text, whose line ends must be as they are in the file.
        path: its file, for errors.
        remedy: what an error tells the user to do.

    Attributes:
        position: the characters read so far.
    """

    def __init__(self, stream: TextIO, path: str, remedy: str) -> None:
        self.path = path
        self.remedy = remedy
        self._stream = stream
        self._buffer = ""
        self._at = 0
        self._line = 1  # that of the buffer's first character
        self._ended = False
        self.position = 0

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer) or self._ended:
                return self._buffer[self._at : self._at + 1]
            self._read(_CHUNK)

    def expect(self, character: str) -> None:
        """Reads this character, or says what stands in its place."""
        found = self.peek()
        if found != character:
            self.fail(f"expected {character!r}, found {found or 'the end of the file'!r}")
        self._at += 1

    def elements(self) -> Iterator[None]:
        """Stops before each element of the list that comes next; the caller reads it."""
        self.expect("[")
        more = self.peek() != "]"
        while more:
            yield
            more = self.peek() != "]"
            if more:
                self.expect(",")
        self.expect("]")

    def members(self) -> Iterator[str]:
        """Stops before each value of the object that comes next, and gives its name; the caller reads it."""
        self.expect("{")
        more = self.peek() != "}"
        while more:
            name = self.value()
            if not isinstance(name, str):
                self.fail("expected a name")
            self.expect(":")
            yield name
            more = self.peek() != "}"
            if more:
                self.expect(",")
        self.expect("}")

    def value(self) -> Any:
        """The value that comes next."""
        return self._value(None)

    def value_within(self, limit: int) -> tuple[bool, Any]:
        """Whether the value that comes next has at most about ``limit`` characters, and if so the value.

        One that is longer is not read, so that its parts can be.
        """
        try:
            return True, self._value(limit)
        except _LongerError:
            return False, None

    def line(self) -> int:
        """The number, from 1, of the line that is read."""
        return self._line + self._buffer.count("\n", 0, self._at)

    def rest_of_line(self) -> str:
        """The text up to the end of the line, which is read too."""
        while (end := self._buffer.find("\n", self._at)) < 0 and not self._ended:
            self._read(max(_CHUNK, len(self._buffer)))
        start, self._at = self._at, end + 1 if end >= 0 else len(self._buffer)
        return self._buffer[start : self._at]

    def fail(self, what: str) -> NoReturn:
        """Raises the error for what is not JSON here."""
        raise UserError(f"not valid JSON ({what})", f"{self.path}, line {self.line()}", self.remedy)

    def _value(self, limit: int | None) -> Any:
        if not self.peek():
            self.fail("expected a value, found the end of the file")
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except RecursionError:
                self.fail("nested too deeply")
            except ValueError as error:
                if self._ended:
                    self.fail(str(error).partition(":")[0])
            else:
                if end + _UNFINISHED * isinstance(value, (int, float)) < len(self._buffer) or self._ended:
                    self._at = end
                    return value
            held = len(self._buffer) - self._at
            if limit is not None and held >= limit and not self._ended:
                raise _LongerError
            self._read(max(_CHUNK, (_GROWTH - 1) * held))

    def _read(self, size: int) -> None:
        more = self._stream.read(size)
        self._ended = not more
        self.position += len(more)
        self._line += self._buffer.count("\n", 0, self._at)
        self._buffer, self._at = self._buffer[self._at :] + more, 0


class _LongerError(Exception):
    pass
