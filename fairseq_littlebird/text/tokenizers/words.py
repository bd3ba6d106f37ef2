"""Tokens with white space between them: text that was tokenized by other means, as ``fairseq-preprocess`` reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from fairseq_littlebird.text.tokenizers.base import UNKNOWN


class WordTokenizer:
    """The tokens as they stand.

    Args:
        symbols: the vocabulary, in its order.
    """

    kind = "words"

    def __init__(self, symbols: Sequence[str]) -> None:
        self.files: dict[str, Path] = {}
        self._numbers = {symbol: number for number, symbol in enumerate(symbols)}

    def encode(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        return self.tokenize(text), [found.span() for found in re.finditer(r"\S+", text)]

    def tokenize(self, text: str) -> list[str]:
        return [word if word in self._numbers else UNKNOWN for word in re.findall(r"\S+", text)]

    def decode(self, symbols: Iterable[str]) -> str:
        return " ".join(symbol for symbol in symbols if symbol in self._numbers)

    def symbols(self) -> list[str]:
        return list(self._numbers)

    def numbers(self) -> dict[str, int]:
        return dict(self._numbers)
