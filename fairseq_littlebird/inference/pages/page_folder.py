"""A folder of pages with a table of them, ``index.html``."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TextIO, TypeVar

from fairseq_littlebird.inference.pages.style import PAGE, STYLE

LONGEST_NAME = 60
ROWS = "<!-- rows -->"
P = TypeVar("P", bound="PageFolder")


class PageFolder:
    """Pages and their table, written one by one; a context manager.

    Args:
        folder: to be made.
        title: of the table.
        columns: its header cells, HTML.
    """

    def __init__(self, folder: Path, title: str, columns: str) -> None:
        folder.mkdir()
        self._folder = folder
        self._taken = {"index"}
        body = f"<h1>{title}</h1>\n<table>\n{ROWS}</table>"
        before, self._after = PAGE.substitute(title=title, style=STYLE, body=body).split(ROWS)
        self._index: TextIO = (folder / "index.html").open("w", encoding="utf-8", newline="\n")
        self._index.write(f"{before}<tr>{columns}\n")

    def __enter__(self: P) -> P:
        return self

    def __exit__(self, *unused: object) -> None:
        with self._index:
            self._index.write(self._after)

    def write_page(self, identifier: str, page: str) -> str:
        """Writes a page, HTML, and returns the name of its file."""
        name = f"{page_name(identifier, self._taken)}.html"
        (self._folder / name).write_text(page, encoding="utf-8", newline="\n")
        return name

    def write_row(self, cells: str) -> None:
        """Writes a row of the table, HTML."""
        self._index.write(f"<tr>{cells}\n")


def page_name(identifier: str, taken: set[str]) -> str:
    """A name that every file system takes: the id where it is such, else what it has of such and a digest.

    Args:
        identifier: any text.
        taken: the names of other pages, in lower case; this one is added.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", identifier)[:LONGEST_NAME].strip("_") or "question"
    if name != identifier or name.lower() in taken:
        name += "-" + hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    free, copies = name, 1
    while free.lower() in taken:  # the same id again
        copies += 1
        free = f"{name}-{copies}"
    taken.add(free.lower())
    return free
