"""Tokens of documents that are read in pieces."""

from __future__ import annotations

from fairseq_littlebird.text.example import Piece
from fairseq_littlebird.text.pieces import encode_pieces


class Letters:
    """A tokenizer whose every character but space is a token."""

    def encode(self, text):
        places = [i for i, character in enumerate(text) if character != " "]
        return [text[i] for i in places], [(i, i + 1) for i in places]


class Words:
    def encode(self, text):
        import re

        found = [match.span() for match in re.finditer(r"\w+", text)]
        return [text[a:b] for a, b in found], found


def test_offsets_are_the_documents():
    document = "xx<p>a&amp;b </p>yy cd"
    pieces = (Piece(2, 5, symbol="<p>"), Piece(5, 6), Piece(6, 11, "&"), Piece(11, 12), Piece(17, 22))
    symbols, offsets = encode_pieces(Letters(), document, pieces)
    assert symbols == ["<p>", "a", "&", "b", "y", "y", "c", "d"]
    assert [document[a:b] for a, b in offsets] == ["<p>", "a", "&amp;", "b", "y", "y", "c", "d"]


def test_words_run_over_pieces_but_not_over_symbols():
    document = "in<b>put</b>|out"
    pieces = (Piece(0, 2), Piece(5, 8), Piece(12, 13, symbol="</s>"), Piece(13, 16))
    symbols, offsets = encode_pieces(Words(), document, pieces)
    assert symbols == ["input", "</s>", "out"]
    assert offsets == [(0, 8), (12, 13), (13, 16)]


def test_tokens_without_characters_stand_where_they_are():
    class Empty:
        def encode(self, text):
            return ["_", "ab", "_"], [(0, 0), (0, 2), (2, 2)]

    assert encode_pieces(Empty(), "..ab", (Piece(2, 4),))[1] == [(2, 2), (2, 4), (4, 4)]


def test_nothing_to_read():
    assert encode_pieces(Letters(), "abc", ()) == ([], [])
