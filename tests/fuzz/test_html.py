"""Web pages of any kind: what is read of them stands where it says."""

from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.text.example import Piece
from fairseq_littlebird.text.html import TOKENS, html_pieces
from fairseq_littlebird.text.pieces import encode_pieces

PARTS = [
    *(f"<{slash}{tag}{rest}>" for tag in ("p", "td", "b", "nav", "script", "br", "svg") for slash in ("", "/")
      for rest in ("", " a='>'", "/", " role = banner", ' x="', "\n")),
    *("<", ">", "&", "<!--", "-->", "<!", "<?", "</", "'", '"', "role=", "=", "/", ";", "&amp;", "&amp", "&#x41;"),
    *("&#0;", "&#xd800;", "&#" + "9" * 5000 + ";", "&#x" + "f" * 5000, "&#٣;", "&nbsp;", "&NotEqualTilde;", "&ac"),
    *(" ", "\n", "\t", "\r\n", "\0", "\ufeff", "\xa0", "e\u0301", "\u0301", "\u200d", "😀", "İ", "word", "a b"),
]  # fmt: skip
PAGES = st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=12).map("".join)


class Words:
    """A token a word, exactly where it stands."""

    def encode(self, text):
        found = list(re.finditer(r"\S+", text))
        return [match.group() for match in found], [match.span() for match in found]


def check(page: str) -> tuple[Piece, ...]:
    pieces, end = html_pieces(page), 0
    for piece in pieces:
        assert end <= piece.start < piece.stop <= len(page)
        end = piece.stop
        own = page[piece.start : piece.stop]
        if piece.symbol:
            assert piece.symbol[1:-1] in TOKENS and own.lower().startswith(piece.symbol[:-1])
        elif piece.text is None:
            assert own.strip() == own
        elif piece.text != " ":
            # Python reads no number of 5,000 digits, Unicode none of eight
            assert html.unescape(own if len(own) < 4000 else "&#99999999;") == piece.text
    end = 0
    for word, (start, stop) in zip(*encode_pieces(Words(), page, pieces), strict=True):
        own = page[start:stop]
        assert end <= start < stop <= len(page)
        end = max(end, start)
        if "<" not in own and "&" not in own:
            assert own == word
    return pieces


def test_pages(hostile):
    @hostile.profile()
    @given(PAGES)
    def case(page):
        with hostile.bounded():
            check(page)

    case()
