"""Word's DOCX, by python-docx: paragraphs and tables in their order."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.documents.document import PARAGRAPH, Document, of_parts

LARGEST = 256 << 20
"""Bytes of all parts, unpacked: a small file may say that it unpacks to any size."""


def read(content: bytes, name: str) -> Document:
    """The text of a DOCX; its places are its paragraphs and tables.

    Raises:
        UserError: a file that is damaged, encrypted, too large or has no text, or python-docx is missing.
    """
    try:
        import docx
    except ImportError as error:
        raise UserError("DOCX needs python-docx", name, "pip install 'fairseq_littlebird[documents]'") from error
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise UserError("encrypted, or Word's older DOC", name, "save it as DOCX without a password")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size = sum(part.file_size for part in packed.infolist())
        if size > LARGEST:
            raise UserError(f"unpacks to {size >> 20:,} MiB", name, "leave its pictures out")
        parts = list(_parts(docx.Document(io.BytesIO(content))))
    except UserError:
        raise
    except Exception as error:  # zipfile, zlib, lxml and python-docx have their own for each kind of damage
        raise UserError("a damaged DOCX, or none", name, "open it in a word processor and save it anew") from error
    if not any(part.strip() for part in parts):
        raise UserError("no text", name, "leave it out")
    return of_parts(name, parts, PARAGRAPH)


def _parts(document: Any) -> Iterator[str]:
    """Each paragraph, and each table with a line a row."""
    for part in document.iter_inner_content():
        if hasattr(part, "rows"):
            yield "\n".join("\t".join(cell.text for cell in row.cells) for row in part.rows)
        else:
            yield part.text
