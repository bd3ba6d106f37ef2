"""Every document of a command line: files, folders of them, and standard input."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.documents import docx, pdf, plain_text, web_page
from fairseq_littlebird.formats.documents.document import Document
from fairseq_littlebird.inputs import STDIN

Reader = Callable[[bytes, str], Document]
READERS: dict[str, Reader] = {
    **dict.fromkeys((".txt", ".text", ".md", ".markdown", ".rst"), plain_text.read),
    **dict.fromkeys((".html", ".htm", ".xhtml"), web_page.read),
    ".pdf": pdf.read,
    ".docx": docx.read,
}
"""By the suffix of the file, in lower case."""

LARGEST = 256 << 20
"""Bytes of a file at most: what is larger is data, not a document that someone asks."""


def read_documents(paths: Iterable[str | Path], note: Callable[[str], object]) -> Iterator[Document]:
    """The documents of files and folders, in their order; those of a folder by name.

    Args:
        paths: files, folders, which are read with all they hold, and ``-`` for standard input.
        note: takes a line on each file of a folder that is not read.
    Raises:
        UserError: a file that cannot be read, or a folder without a document.
    """
    for path in paths:
        if str(path) == STDIN:
            yield _read(sys.stdin.buffer.read(LARGEST + 1), "standard input", _sniffed)
        elif Path(path).is_dir():
            yield from _folder(Path(path), note)
        else:
            yield read_document(path)


def read_document(path: str | Path) -> Document:
    """The document of a file.

    Raises:
        UserError: of another kind, too large, without text, damaged, encrypted or missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix and suffix not in READERS:
        raise UserError(f"documents of this kind are not read: {suffix}", str(path), f"give {kinds()}")
    with Path(path).open("rb") as file:
        return read_content(file.read(LARGEST + 1), str(path), suffix)


def read_content(content: bytes, name: str, suffix: str) -> Document:
    """The document of a file's content.

    Args:
        content: all of it.
        name: what to call it.
        suffix: of ``READERS``; empty where the content has to say what it is.
    Raises:
        UserError: see :func:`read_document`.
    """
    return _read(content, name, READERS.get(suffix, _sniffed))


def kinds() -> str:
    """The suffixes that are read, as a message names them."""
    return ", ".join(sorted(READERS))


def _folder(folder: Path, note: Callable[[str], object]) -> Iterator[Document]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder)))
    found = [path for path in files if path.suffix.lower() in READERS]
    if not found:
        others = f" among {len(files):,} files" if files else ""
        raise UserError(f"no document{others}", str(folder), f"give a folder with {kinds()}")
    if left_out := len(files) - len(found):
        note(f"{folder}: {left_out:,} of {len(files):,} files are of other kinds and left out")
    for path in found:
        try:
            yield read_document(path)
        except UserError as error:
            note(f"{error}; left out")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read(content: bytes, name: str, reader: Reader) -> Document:
    if len(content) > LARGEST:
        raise UserError(f"over {LARGEST >> 20} MiB", name, "give the part of it that the question is about")
    document = reader(content, name)
    if not document.text.strip():
        raise UserError("no text", name, "give another document")
    return document


def _sniffed(content: bytes, name: str) -> Document:
    """What has no suffix, by how it begins."""
    head = content[:1024].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if content.startswith(b"%PDF"):
        return pdf.read(content, name)
    if content.startswith((b"PK\3\4", b"\xd0\xcf\x11\xe0")):
        return docx.read(content, name)
    if head.startswith((b"<!doctype html", b"<html")):
        return web_page.read(content, name)
    return plain_text.read(content, name)
