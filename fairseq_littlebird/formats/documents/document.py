"""The text of a file, and where in the file it is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

LINE, PAGE, PARAGRAPH = "line", "page", "paragraph"


@dataclass(frozen=True)
class Document:
    """A document.

    Args:
        name: its path, as it was given.
        text: all of it.
        unit: what its places are counted in, from 1.
        starts: the first character of each of these, ascending.
    """

    name: str
    text: str
    unit: str
    starts: tuple[int, ...]

    def place(self, character: int) -> int:
        """The number of the page, line or paragraph that a character of the text is in."""
        return max(1, bisect_right(self.starts, character))


def of_lines(name: str, text: str) -> Document:
    """A text whose places are its lines."""
    return Document(name, text, LINE, tuple(_starts(text.split("\n"), 1)))


def of_parts(name: str, parts: Iterable[str], unit: str) -> Document:
    """The text of pages or paragraphs, an empty line between each and the next."""
    texts = list(parts)
    return Document(name, "\n\n".join(texts), unit, tuple(_starts(texts, 2)))


def _starts(parts: Iterable[str], between: int) -> Iterable[int]:
    start = 0
    for part in parts:
        yield start
        start += len(part) + between
