"""Characters and bytes as tokens: every text comes back, and every symbol is a line of a dictionary."""

from __future__ import annotations

import io

import pytest
from fairseq.data import Dictionary
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers import ByteTokenizer, CharacterTokenizer, load_tokenizer
from fairseq_littlebird.text.tokenizers.characters import character_of_symbol, symbol_of_byte, symbol_of_character

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
AWKWARD = " \n\r\t\x00\x1c\x85\xa0\u2028\u3000\ufeff\u200b\u0301▁<>U+#é漢👩🏽"


@given(texts)
def test_characters_come_back(text):
    tokenizer = CharacterTokenizer(sorted({*text, *AWKWARD}))
    for given_text in (text, AWKWARD):
        symbols, offsets = tokenizer.encode(given_text)
        assert symbols == tokenizer.tokenize(given_text) and tokenizer.decode(symbols) == given_text
        assert [given_text[a:b] for a, b in offsets] == [*given_text]


@given(texts)
def test_bytes_come_back(text):
    tokenizer = ByteTokenizer()
    symbols, offsets = tokenizer.encode(text)
    assert len(symbols) == len(text.encode()) and tokenizer.decode(symbols) == text
    assert [*dict.fromkeys(offsets)] == [(n, n + 1) for n in range(len(text))]
    for symbol, (start, end) in zip(symbols, offsets, strict=True):
        assert tokenizer.bytes[symbol] in text[start:end].encode()


def test_a_character_that_is_cut_is_replaced():
    symbols = ByteTokenizer().tokenize("a漢b")
    assert ByteTokenizer().decode(symbols[:-2]) == "a\ufffd"
    assert ByteTokenizer().decode(symbols[2:]) == "\ufffd\ufffdb"


def test_what_is_no_symbol_is_left_out():
    assert CharacterTokenizer("ab").decode(["a", "<unk>", "</s>", "b"]) == "ab"
    assert ByteTokenizer().decode(["a", "<unk>", "<0x0A>"]) == "a\n"
    assert CharacterTokenizer("ab").tokenize("abc") == ["a", "b", "<unk>"]


@given(st.lists(st.characters(exclude_categories=["Cs"]), unique=True, max_size=30).map("".join))
def test_every_symbol_is_a_line_of_a_dictionary(characters):
    symbols = [*dict.fromkeys([*map(symbol_of_character, characters + AWKWARD), *map(symbol_of_byte, range(256))])]
    lines = io.StringIO("".join(f"{symbol} 1\n" for symbol in symbols))
    assert Dictionary.load(lines).symbols[4:] == symbols
    for character in characters:
        assert character_of_symbol(symbol_of_character(character)) == character


@pytest.mark.parametrize("symbol", ["<unk>", "<0x0A>", "<U+0041>", "<U+FFFFFF>", "ab", "", " ", "\n"])
def test_symbols_of_other_kinds_are_no_characters(symbol):
    assert character_of_symbol(symbol) is None


def test_the_space_and_line_ends_can_be_read():
    assert CharacterTokenizer(" \na").symbols() == ["▁", "<U+000A>", "a"]
    assert [symbol_of_byte(byte) for byte in b" \nA~\x7f\xff"] == ["▁", "<0x0A>", "A", "~", "<0x7F>", "<0xFF>"]


@pytest.mark.parametrize("tokenizer", [CharacterTokenizer("b a\n"), ByteTokenizer()], ids=["characters", "bytes"])
def test_is_read_from_its_file(tmp_path, tokenizer):
    (tmp_path / "characters.json").write_text(tokenizer.description(), "utf-8")
    for path in (tmp_path, tmp_path / "characters.json"):
        read = load_tokenizer(path)
        assert (read.kind, read.numbers()) == (tokenizer.kind, tokenizer.numbers())


@pytest.mark.parametrize("content", ["", "[]", '{"unit": "words"}', '{"unit": "characters", "characters": "aa"}', "1"])
def test_a_damaged_file_is_one_line(tmp_path, content):
    (tmp_path / "characters.json").write_text(content, "utf-8")
    with pytest.raises(UserError, match="characters.json: damaged; prepare the folder again"):
        load_tokenizer(tmp_path)
