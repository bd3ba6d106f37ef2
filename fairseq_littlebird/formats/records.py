"""The records of a file, one at a time, whatever holds them: a JSON list, JSON lines, columns or a table."""

from __future__ import annotations

import csv
import json
import marshal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.json_stream import JsonStream
from fairseq_littlebird.formats.opening import open_text

LONG = 1 << 22
"""Characters; of a longer record the parts are read one by one."""

_LISTS = ("data", "Data", "rows")  # members of a top object that are the list of its records
_PART = "paragraphs"  # the member of a long record that is read one by one
_COMMON = "title"  # the member that is given with each of them
_DELIMITERS = ",\t;|"
_NAME = 40  # characters of a column's name that an error shows


class Records:
    """A file's records, read once, from first to last; see :func:`open_records`.

    Iterating gives ``(number, record)``, the number from 1.

    Attributes:
        path: the file.
        layout: what holds the records: ``list``, ``lines``, ``columns`` or ``table``.
        first: the first record, None where there is none.
        top: the other members of the object that holds the list; all of them after the last record.
        columns: the names in a table's first row, in their order.
    """

    def __init__(
        self,
        path: Path,
        remedy: str,
        text: JsonStream,
        whole: bool,
        header: bool = True,
        quotes: bool = True,
        faults: bool = False,
    ) -> None:
        self.path = path
        self.remedy = remedy
        self.layout = "list"
        self.top: dict[str, Any] = {}
        self.columns: list[str] = []
        self._text = text
        self._whole = whole
        self._header, self._faults = header, faults
        self._quoting: Any = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        self._records = self._read()
        self._fault: UserError | None = None
        try:
            self._pending = list(self._next())
        except UserError as error:
            if not self.columns:
                raise
            self._pending, self._fault = [], error  # the columns' names may say that this is not a table
        self.first = self._pending[0][1] if self._pending else None

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        if self._fault:
            raise self._fault
        while self._pending:
            yield self._pending.pop()
            self._pending = list(self._next())

    @property
    def position(self) -> int:
        """The characters of the file read so far."""
        return self._text.position

    def where(self, number: int, noun: str = "record") -> str:
        """What errors call a record."""
        return (
            f"{self.path}, {'line' if self.layout == 'lines' else 'row' if self.layout == 'table' else noun} {number}"
        )

    def _next(self) -> Iterator[tuple[int, Any]]:
        for item in self._records:
            yield item
            return

    def _read(self) -> Iterator[tuple[int, Any]]:
        start = self._text.peek()
        if start == "[":
            yield from self._list()
            self._end()
        elif start == "{":
            yield from self._object()
        else:
            self.layout = "table"
            yield from self._table()

    def _list(self) -> Iterator[tuple[int, Any]]:
        for number, _ in enumerate(self._text.elements(), start=1):
            fits, value = (True, self._text.value()) if self._whole else self._text.value_within(LONG)
            if fits:
                row = value.get("row") if isinstance(value, dict) and "row_idx" in value else None
                yield number, value if row is None else row
            else:
                yield from ((number, part) for part in self._parts())

    def _parts(self) -> Iterator[Any]:
        """A long record as several with one paragraph each, and the other members.

        Paragraphs that come before the title wait for it on the disk.
        """
        if self._text.peek() != "{":
            yield self._text.value()
            return
        others: dict[str, Any] = {}
        found, waiting = False, 0
        with TemporaryFile() as spool:
            for name in self._text.members():
                if name != _PART or self._text.peek() != "[":
                    others[name] = self._text.value()
                    continue
                found = True
                for _ in self._text.elements():
                    paragraph = self._text.value()
                    if _COMMON in others:
                        yield {**others, _PART: [paragraph]}
                        continue
                    try:
                        marshal.dump(paragraph, spool)
                    except ValueError:
                        self._text.fail("nested too deeply")
                    waiting += 1
            spool.seek(0)
            yield from ({**others, _PART: [marshal.load(spool)]} for _ in range(waiting))
        if not found:
            yield others

    def _object(self) -> Iterator[tuple[int, Any]]:
        """The records in the object that comes first, or it and those in the lines after it."""
        line = self._text.line()
        record: dict[str, Any] = {}
        inside = False
        for name in self._text.members():
            if name in _LISTS and self._text.peek() == "[":
                inside = True
                yield from self._list()
            else:
                record[name] = self.top[name] = self._text.value()
        if inside:
            self._end()
            return
        self.top = {}
        columns = _columns(record)
        if columns:
            self.layout = "columns"
            yield from enumerate(columns, start=1)
            self._end()
        else:
            yield from self._lines(line, record)

    def _lines(self, line: int, record: dict[str, Any]) -> Iterator[tuple[int, Any]]:
        if self._text.line() > line:  # objects over several lines, one after the other
            yield 1, record
            number = 1
            while self._text.peek():
                number += 1
                yield number, self._text.value()
            return
        self.layout = "lines"
        yield line, record
        rest = self._text.rest_of_line()
        if rest.strip():
            raise UserError("not valid JSON (text after the end of the object)", self.where(line), self.remedy)
        for number, text in enumerate(iter(self._text.rest_of_line, ""), start=line + 1):
            if text.strip():
                yield number, self._decoded(text, number)

    def _decoded(self, text: str, line: int) -> Any:
        try:
            return json.loads(text, strict=False)
        except RecursionError as error:
            raise UserError("not valid JSON (nested too deeply)", self.where(line), self.remedy) from error
        except ValueError as error:
            what = f"not valid JSON ({getattr(error, 'msg', error)})"
            raise UserError(what, self.where(line), self.remedy) from error

    def _table(self) -> Iterator[tuple[int, Any]]:
        header = self._text.rest_of_line()
        delimiter = max(_DELIMITERS, key=header.count)
        csv.field_size_limit((1 << 31) - 1)  # a document may be longer than the usual 128 KiB
        try:
            names = next(csv.reader([header], delimiter=delimiter, quoting=self._quoting), [])
        except csv.Error:
            names = []
        if any("\n" in name for name in names):  # of a quote that is not closed
            names = []
        names = [name.strip() for name in names]
        if not self._header:
            names = [str(number + 1) for number in range(len(names))]
        if len(names) < 2 or len(set(names)) < len(names) or not all(name.isprintable() for name in names):
            what = "neither JSON nor a table with named columns" if header else "an empty file"
            raise UserError(what, str(self.path), self.remedy)
        self.columns = names
        ended = False

        def lines() -> Iterator[str]:
            nonlocal ended
            if not self._header:
                yield header
            yield from iter(self._text.rest_of_line, "")
            ended = True
            yield "\n"  # a row that takes this in has an open quote

        try:
            rows = csv.reader(lines(), delimiter=delimiter, quoting=self._quoting)
            for number, row in enumerate(rows, start=1):
                if row and ended:
                    what = "a quote that opens in this row is not closed before the end of the file"
                    raise UserError(what, self.where(number), 'close it, and write "" for a quote inside a cell')
                if row and len(row) != len(names):
                    what = f"{len(row)} cells under {len(names)} names"
                    fault = UserError(what, self.where(number), "quote cells that hold the delimiter or line ends")
                    if not self._faults:
                        raise fault
                    yield number, fault
                elif row:
                    yield number, dict(zip(names, row, strict=True))
        except csv.Error as error:
            raise UserError(f"not a table ({error})", str(self.path), self.remedy) from error

    def check_columns(self, wanted: Iterable[str], remedy: str) -> None:
        """Raises UserError where a table's first row names none of these columns, perhaps as it is no row of names."""
        if self.columns and not set(wanted) & set(self.columns):
            names = ", ".join(name if len(name) <= _NAME else f"{name[:_NAME]}…" for name in self.columns)
            raise UserError(f"its first row names the columns {names}", str(self.path), remedy)

    def _end(self) -> None:
        if self._text.peek():
            self._text.fail("text after the end")


@contextmanager
def open_records(
    path: str | Path,
    remedy: str,
    whole: bool = False,
    *,
    header: bool = True,
    quotes: bool = True,
    faults: bool = False,
) -> Iterator[Records]:
    """The records of a file, whatever it is packed in.

    Args:
        path: the file, or ``-`` for standard input.
        remedy: what an error tells the user to do.
        whole: whether even a record of more than ``LONG`` characters comes in one; otherwise it comes as several with
            one of its paragraphs each.
        header: whether the first row of a table has the names of its columns; otherwise they are 1, 2, ….
        quotes: whether cells of a table may be quoted; otherwise a quote is a character like any other.
        faults: whether a row of a table with other cells comes as the UserError, to be raised; otherwise it is raised
            here, and nothing comes after it.

    Raises:
        UserError: a file that cannot be read, or holds no records, or something else than its beginning says.
    """
    with ExitStack() as stack:
        # line ends as they are: offsets count characters
        stream = stack.enter_context(open_text(path, newline="\n"))
        text = JsonStream(stream, str(path), remedy)
        yield Records(Path(path), remedy, text, whole, header, quotes, faults)


def _columns(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an object of columns, each a list or, as pandas writes them, an object of row number to cell."""
    columns = {name: list(c.values()) if isinstance(c, dict) else c for name, c in record.items()}
    if not {"question", "text"} & columns.keys() or not all(isinstance(column, list) for column in columns.values()):
        return []
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1 or len(columns) < 2:
        return []
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
