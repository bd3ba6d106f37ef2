"""Single characters, or the bytes of their UTF-8, as tokens: for character-level language models.

A symbol of a dictionary cannot hold white space. The space is ``▁``; other white space, control characters and ``▁``
itself are ``<U+000A>`` and the like, bytes outside ASCII's visible characters ``<0x0A>`` and the like.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers.base import UNKNOWN, without_surrogates

NAME = "characters.json"
"""The tokenizer's file, ``{"unit": "characters", "characters": "…"}`` or ``{"unit": "bytes"}``."""
CHARACTERS, BYTES = "characters", "bytes"
SPACE = "\u2581"


def symbol_of_character(character: str) -> str:
    """The dictionary symbol of one character."""
    if character == " ":
        return SPACE
    hidden = character == SPACE or character.isspace() or unicodedata.category(character) in ("Cc", "Cf")
    return f"<U+{ord(character):04X}>" if hidden else character


def symbol_of_byte(byte: int) -> str:
    """The dictionary symbol of one byte."""
    if byte == ord(" "):
        return SPACE
    return chr(byte) if ord(" ") < byte < 0x7F else f"<0x{byte:02X}>"


def character_of_symbol(symbol: str) -> str | None:
    """The character behind a symbol; None for a symbol of another kind, such as ``<unk>``."""
    character = " " if symbol == SPACE else symbol
    if escaped := re.fullmatch("<U\\+([0-9A-F]{4,6})>", symbol):
        code = int(escaped[1], 16)
        character = chr(code) if code <= sys.maxunicode else ""
    return character if len(character) == 1 and symbol_of_character(character) == symbol else None


class CharacterTokenizer:
    """A token a character, as it stands: nothing is normalized, and line ends are characters as well.

    Args:
        characters: of the vocabulary, in its order.
        path: of its file; None for one in memory.
    """

    kind = CHARACTERS

    def __init__(self, characters: Sequence[str], path: Path | None = None) -> None:
        self.files = {} if path is None else {NAME: path}
        self.texts = {symbol_of_character(character): character for character in characters}
        self._symbols = {character: symbol for symbol, character in self.texts.items()}

    def symbols(self) -> list[str]:
        return list(self.texts)

    def numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.texts)}

    def tokenize(self, text: str) -> list[str]:
        return [self._symbols.get(character, UNKNOWN) for character in text]

    def encode(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        return self.tokenize(text), [(n, n + 1) for n in range(len(text))]

    def decode(self, symbols: Iterable[str]) -> str:
        return "".join(self.texts.get(symbol, "") for symbol in symbols)

    def description(self) -> str:
        """The content of its file."""
        return json.dumps({"unit": CHARACTERS, "characters": "".join(self.texts.values())}) + "\n"


class ByteTokenizer:
    """A token a byte of UTF-8; every text has one, and so has every other file.

    Args:
        path: of its file; None for one in memory.
    """

    kind = BYTES

    def __init__(self, path: Path | None = None) -> None:
        self.files = {} if path is None else {NAME: path}
        self.bytes = {symbol_of_byte(byte): byte for byte in range(256)}
        self._symbols = list(self.bytes)

    def symbols(self) -> list[str]:
        return list(self._symbols)

    def numbers(self) -> dict[str, int]:
        return dict(self.bytes)

    def tokenize(self, text: str) -> list[str]:
        return [self._symbols[byte] for byte in without_surrogates(text).encode()]

    def encode(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        text = without_surrogates(text)
        return self.tokenize(text), [(n, n + 1) for n, character in enumerate(text) for _ in character.encode()]

    def decode(self, symbols: Iterable[str]) -> str:
        """The text; U+FFFD for what is no UTF-8, such as a character that is cut at an end."""
        return bytes(self.bytes[symbol] for symbol in symbols if symbol in self.bytes).decode(errors="replace")

    def description(self) -> str:
        """The content of its file."""
        return json.dumps({"unit": BYTES}) + "\n"


def character_tokenizer(path: Path) -> CharacterTokenizer | ByteTokenizer:
    """The tokenizer of a ``characters.json``.

    Raises:
        UserError: it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        unit = content["unit"]
        characters = "" if unit == BYTES else "" + content["characters"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UserError("damaged", str(path), "prepare the folder again: littlebird-prepare characters") from error
    if unit not in (CHARACTERS, BYTES) or len({*characters}) < len(characters):
        raise UserError("damaged", str(path), "prepare the folder again: littlebird-prepare characters")
    return ByteTokenizer(path) if unit == BYTES else CharacterTokenizer(characters, path)
