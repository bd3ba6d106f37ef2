"""What every tokenizer offers, and which symbols a dictionary holds."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Protocol

from fairseq_littlebird.errors import UserError

QUESTION = "[QUESTION]"
UNKNOWN = "<unk>"
RESERVED = frozenset({"<s>", "<pad>", "</s>", UNKNOWN, "<mask>", QUESTION})
# special symbols of other vocabularies, all of which fairseq's dictionary holds under its own names
SPECIAL = {"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>", "[UNK]": "<unk>", "[MASK]": "<mask>"}

FILES = (
    "dict.txt",
    "sentencepiece.model",
    "vocab.txt",
    "tokenizer_config.json",
    "encoder.json",
    "vocab.bpe",
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "characters.json",
)
"""Every name in a tokenizer's folder."""

VISIBLE = str.maketrans(" \t\n\v\f\r", "␠␉␊␋␌␍")
"""Signs for white space, which a line of dict.txt cannot hold."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Tokenizer(Protocol):
    """What every tokenizer here offers.

    Args:
        kind: ``sentencepiece``, ``wordpiece``, ``gpt2_bpe``, ``tokenizer_json``, ``characters`` or ``bytes``.
        files: name in a prepared folder -> file to copy there.
    """

    kind: str
    files: dict[str, Path]

    def encode(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        """Dictionary symbols of ``text`` and their [start, end) character offsets into it."""
        ...

    def tokenize(self, text: str) -> list[str]:
        """The symbols of :meth:`encode` alone, faster."""
        ...

    def decode(self, symbols: Iterable[str]) -> str:
        """The text that symbols spell, as far as the normalization of :meth:`encode` lets it be told; what is no
        symbol of the vocabulary, such as ``<unk>``, is left out."""
        ...

    def symbols(self) -> list[str]:
        """Every symbol that :meth:`encode` may return but ``<unk>``, in the vocabulary's order."""
        ...

    def numbers(self) -> dict[str, int]:
        """The vocabulary's own number of every symbol, of its special symbols under fairseq's names, and of all else.

        A pretrained model's token embeddings are in the order of these numbers.
        """
        ...


def without_surrogates(text: str) -> str:
    """``text`` with lone surrogates, which UTF-8 cannot hold, replaced by U+FFFD; no offset moves."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def is_dictionary_symbol(symbol: str) -> bool:
    """Whether a line of dict.txt can hold the symbol: not special, without white space."""
    return symbol not in RESERVED and symbol.split() == [symbol]


def dictionary_symbol(piece: str, vocabulary: Container[str]) -> str | None:
    """What a line of dict.txt calls a piece of a vocabulary: white space by its visible signs, None for no symbol.

    Gemma has pieces of ends of lines, ModernBERT runs of spaces.
    """
    if is_dictionary_symbol(piece):
        return piece
    shown = piece.translate(VISIBLE)
    return shown if is_dictionary_symbol(shown) and shown not in vocabulary else None


def dictionary_text(tokenizer: Tokenizer, existing: Path | None = None) -> str:
    """A dict.txt for the tokenizer: its symbols, or the lines of an existing one, then ``[QUESTION]``.

    After the lines of an existing one without ``[QUESTION]`` comes ``<mask>`` first: so the tasks that train on text
    have numbered the two, where this file was theirs.
    """
    if existing is None:
        lines = [f"{symbol} 1" for symbol in dict.fromkeys(tokenizer.symbols())]
    else:
        try:
            lines = existing.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
        except UnicodeDecodeError as error:
            raise UserError("not UTF-8 text", where=str(existing), remedy="convert it to UTF-8") from error
    there = {line.split(" ")[0] for line in lines}
    if QUESTION not in there:
        lines += [f"{symbol} 0" for symbol in ("<mask>", QUESTION)[existing is None :] if symbol not in there]
    return "".join(f"{line}\n" for line in lines)
