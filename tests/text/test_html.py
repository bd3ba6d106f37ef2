"""What is read of a web page, and where it stands in the page as it is."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.text.html import TOKENS, html_pieces


def read(page: str) -> str:
    """The pieces as one text, symbols as they are written."""
    return "".join(
        piece.symbol or (page[piece.start : piece.stop] if piece.text is None else piece.text)
        for piece in html_pieces(page)
    )


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        ("plain text", "plain text"),
        ("<p class='a'>One</p>\n<p>Two", "<p>One<p>Two"),
        ("<TABLE><TR><TD>a</TD><td>b</td></tr></TABLE>c", "<table><tr><td>a<td>b c"),
        ("a<b>b</b><i>c</i>", "abc"),  # inline tags part no words
        ("a<br>b<div>c</div>d", "a b c d"),
        ("a \n\t b&nbsp;&#160; c", "a b c"),
        ("AT&amp;T &lt;p&gt; &unknown; & x", "AT&T <p> &unknown; & x"),
        ("x<!-- <p>no --> y", "x y"),
        ("<head><title>no</title></head><h1>yes</h1>", "<h1>yes"),
        ("<script>if (a < b) '</p>'</script>yes<style>p {}</style>", "yes"),
        ("<nav><nav>no</nav> no</nav>yes", "yes"),
        ("<div role='navigation'><div>no</div>no</div>yes<div role=main>too</div>", "yes too"),
        ("<div role='navigation'>no</div><div data-role='navigation'>yes</div>", "yes"),
        ("<p data-role=main role = ' Search'>no</p><a title=\"his role='search'\">yes</a>", "yes"),
        ("<p>a <svg viewBox='0 0 1 1' /> b</p><p>c</p>", "<p>a b<p>c"),
        ("a<svg><path/>no</svg>b<svg/>c<nav/>no", "abc"),  # only foreign elements close themselves
        ("<footer>no", ""),
        ("a < b > c", "a < b > c"),
        ("<a title='1 > 0'>b</a>", "b"),
        ("<!doctype html><?xml version='1.0'?>a", "a"),
        ("", ""),
    ],
)
def test_reads(page, wanted):
    assert read(page) == wanted


FRAGMENTS = [
    "<p>",
    "</p>",
    "<td a='>'>",
    "<b>",
    "</b>",
    "<br/>",
    "&amp;",
    "&#x41;",
    "&lt",
    " ",
    "\n",
    "<!--",
    "-->",
    "<",
]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5)).map("".join))
def test_pieces_stand_in_order_in_the_page(page):
    end = 0
    for piece in html_pieces(page):
        assert end <= piece.start < piece.stop <= len(page)
        end = piece.stop
        own = page[piece.start : piece.stop]
        if piece.symbol:
            assert piece.symbol[1:-1] in TOKENS and own.lower().startswith(piece.symbol[:-1])
        elif piece.text not in (None, " "):
            assert html.unescape(own) == piece.text
        elif piece.text is None:
            assert own.strip() == own and "  " not in own


@given(st.text(st.characters(exclude_characters="<&", exclude_categories=("Cs",))))
def test_text_without_markup_is_itself(text):
    assert read(text) == " ".join(text.split())
