"""What a model reads of a web page: its text and its main tags, each with its place in the page as it is.

Nothing is rewritten, so an answer's place in the cleaned text is its place in the page (appendix A.2, KorQuAD 2.0).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from fairseq_littlebird.text.example import Piece

TOKENS = ("h1", "h2", "p", "table", "tr", "td", "th", "ul", "ol", "li")
"""Tags that become tokens of their own, ``<h1>`` …, where they open."""

REMOVED = {"head", "script", "style", "noscript", "template", "header", "footer", "nav", "svg"}
"""Elements left out with all they hold."""

REMOVED_ROLES = {"banner", "navigation", "contentinfo", "search"}
"""Elements left out for what their attribute ``role`` says they are."""

_INLINE = {
    *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i"),
    *("ins", "kbd", "mark", "q", "ruby", "rp", "rt", "s", "samp", "small", "span", "strike", "strong", "sub"),
    *("sup", "time", "tt", "u", "var", "wbr"),
}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_RAW_TEXT = {"script", "style", "template", "noscript", "svg"}
_TAG = re.compile(
    r"<!--.*?-->|<!--|<[!?][^>]*>|<(?P<close>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*)"
    r"(?P<attributes>(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*|[^>]*)>",
    re.DOTALL,
)
# or a quoted value, which is passed over as it may speak of roles
_ROLE = re.compile(r"""(?<![^\s"'/])role\s*=\s*(?:["']\s*)?([a-z]+)|"[^"]*"|'[^']*'""", re.IGNORECASE)
_TEXT = re.compile(r"(?P<plain>[^\s&]+(?: [^\s&]+)*)|(?P<space>\s+)|(?P<entity>&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);?)|&")


def html_pieces(page: str, tags: Iterable[str] = TOKENS) -> tuple[Piece, ...]:
    """The pieces of a page, in order.

    Space is one space, as a browser shows it; a tag that starts a new line is one too. Entities are the characters
    they stand for.

    Args:
        page: the HTML, whole or not; what is not closed ends with the page.
        tags: those to keep, in lower case.
    """
    kept = set(tags)
    pieces: list[Piece] = []
    end = 0
    for start, stop, tag in _tags(page):
        _add_text(page, end, start, pieces)
        if tag in kept:
            _drop_space(pieces)
            pieces.append(Piece(start, stop, symbol=f"<{tag}>"))
        elif tag and tag.removeprefix("/") not in _INLINE:
            _add_space(start, stop, pieces)
        end = stop
    _add_text(page, end, len(page), pieces)
    _drop_space(pieces)
    return tuple(pieces)


def _tags(page: str) -> Iterator[tuple[int, int, str]]:
    """[start, stop) of each tag and its name, ``/name`` where it closes; removed elements are one tag without name."""
    at = 0
    last = page.rfind(">") + 1  # behind it nothing is a tag, which a pattern would find out again and again
    while match := _TAG.search(page, at, last):
        name = (match["name"] or "").lower()
        start, at = match.span()
        if match[0] == "<!--":
            break
        if name and not match["close"] and name not in _VOID and _is_removed(name, match["attributes"]):
            if name != "svg" or not match["attributes"].endswith("/"):  # foreign elements may close themselves
                at = _end(page, name, at, last)
            name = ""
        yield start, at, f"/{name}" if match["close"] else name
    if (unclosed := page.find("<!--", match.start() if match else at)) >= 0:
        yield unclosed, len(page), ""


def _is_removed(name: str, attributes: str) -> bool:
    role = next((match[1].lower() for match in _ROLE.finditer(attributes) if match[1]), "")
    return name in REMOVED or role in REMOVED_ROLES


def _end(page: str, name: str, at: int, last: int) -> int:
    """The character after the tag that closes the element opened before ``at``; the page's end if none does.

    Args:
        page: the page.
        name: of the element.
        at: a character.
        last: the character after the last ``>``.
    """
    depth = 1
    for match in re.compile(rf"<(/?){name}(?=[\s/>])[^>]*>", re.IGNORECASE).finditer(page, at, last):
        if not match[1] and name in _RAW_TEXT:
            continue  # no elements in there
        depth += -1 if match[1] else 1
        if not depth:
            return match.end()
    return len(page)


def _add_text(page: str, start: int, stop: int, pieces: list[Piece]) -> None:
    for match in _TEXT.finditer(page, start, stop):
        first, last = match.span()
        if match["space"]:
            _add_space(first, last, pieces)
            continue
        text = _character(match["entity"]) if match["entity"] else None
        if text is not None and text.isspace():
            _add_space(first, last, pieces)
        elif text != "":
            pieces.append(Piece(first, last, None if text == match[0] else text))


def _character(entity: str) -> str:
    try:
        return html.unescape(entity)
    except ValueError:  # more digits than Python takes for a number
        return "\N{REPLACEMENT CHARACTER}"


def _add_space(start: int, stop: int, pieces: list[Piece]) -> None:
    """One space between texts, none beside a symbol or another space."""
    if pieces and not pieces[-1].symbol and pieces[-1].text != " ":
        pieces.append(Piece(start, stop, " "))


def _drop_space(pieces: list[Piece]) -> None:
    if pieces and pieces[-1].text == " ":
        pieces.pop()
