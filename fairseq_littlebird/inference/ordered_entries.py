"""Entries of a file that come in another order than they are to be written in."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import TemporaryFile
from types import TracebackType


class OrderedEntries:
    """Texts that wait on the disk, and are read in the order of their numbers; a context manager."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115
        self._places: list[tuple[int, int, int]] = []

    def __enter__(self) -> OrderedEntries:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, number: int, text: str) -> None:
        """Takes a text; of those with one number the first comes first."""
        content = text.encode("utf-8", "surrogatepass")
        self._places.append((number, self._file.tell(), len(content)))
        self._file.write(content)

    def __iter__(self) -> Iterator[str]:
        for _, start, length in sorted(self._places, key=lambda place: place[0]):
            self._file.seek(start)
            yield self._file.read(length).decode("utf-8", "surrogatepass")
