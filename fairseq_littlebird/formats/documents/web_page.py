"""HTML, read as a browser shows it: text without markup, scripts and navigation."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from fairseq_littlebird.formats.documents.document import Document, of_lines
from fairseq_littlebird.formats.documents.plain_text import MARKS, decoded

_LEFT_OUT = {"nav", "noscript", "script", "style", "svg", "template", "title"}
_INLINE = {
    *("a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd", "mark"),
    *("q", "rb", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt"),
    *("u", "var", "wbr", "img"),
}
_CELLS = {"td", "th"}
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]{1,40})", re.IGNORECASE)
_HEAD = 4096


def read(content: bytes, name: str) -> Document:
    """The text of a page; its places are the lines of that text.

    Raises:
        UserError: bytes that are no text.
    """
    parser = _Text()
    parser.feed(_characters(content, name))
    parser.close()
    return of_lines(name, parser.text())


def _characters(content: bytes, name: str) -> str:
    """Decoded as its byte order mark says, or the page itself; UTF-16 cannot say so in letters of one byte."""
    said = None if content.startswith(MARKS) else _CHARSET.search(content[:_HEAD])
    if said and not said[1].lower().startswith((b"utf-16", b"utf-32")):
        try:
            return content.decode(said[1].decode())
        except (LookupError, UnicodeError):
            pass  # as UTF-8, or with an error that names the byte
    return decoded(content, name)


class _Text(HTMLParser):
    """Collects what is shown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._closing = ""  # the tag of the element that is being left out
        self._depth = 0  # how many of that tag are open
        self._as_is = 0  # open elements in which white space counts

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._closing:
            self._depth += tag == self._closing
        elif tag in _LEFT_OUT:
            self._closing, self._depth = tag, 1
        else:
            self._as_is += tag == "pre"
            self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._closing:
            self._depth -= tag == self._closing
            if not self._depth:
                self._closing = ""
        else:
            self._as_is = max(0, self._as_is - (tag == "pre"))
            self._separate(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._closing:
            self._separate(tag)

    def handle_data(self, data: str) -> None:
        if not self._closing:
            self._parts.append(data if self._as_is else " ".join(f"_{data}_".split())[1:-1])

    def _separate(self, tag: str) -> None:
        if tag not in _INLINE:
            self._parts.append("\t" if tag in _CELLS else "\n")

    def text(self) -> str:
        """Without space at the ends of lines, and with one empty line at most between two."""
        lines = (re.sub(r"[ \t]+\t|\t[ \t]+", "\t", line).strip() for line in "".join(self._parts).split("\n"))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
