"""Plain text and Markdown, which is read as it is."""

from __future__ import annotations

import codecs

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.documents.document import Document, of_lines

_ENCODINGS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
MARKS = tuple(_ENCODINGS)
"""The byte order marks that say how a text is encoded."""
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b\b\v")


def read(content: bytes, name: str) -> Document:
    """A text in UTF-8, or in UTF-16 with a byte order mark; ends of lines become line feeds.

    Raises:
        UserError: bytes that are no text.
    """
    return of_lines(name, decoded(content, name).replace("\r\n", "\n").replace("\r", "\n"))


def decoded(content: bytes, name: str) -> str:
    """The characters of a text file.

    Raises:
        UserError: bytes that are no text.
    """
    encoding = next((encoding for mark, encoding in _ENCODINGS.items() if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        what = f"not text in {encoding.removesuffix('-sig').upper()}, from byte {error.start:,} on"
        raise UserError(what, name, "convert it to UTF-8, or leave it out") from error
    control = next((place for place, character in enumerate(text) if ord(character) in _CONTROLS), None)
    if control is not None:
        what = f"no text: character {control:,} is U+{ord(text[control]):04X}"
        raise UserError(what, name, "leave it out")
    return text
