"""How much text a token stream is: the characters and bytes that its tokens spell.

Legend: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from fairseq.data import Dictionary

from fairseq_littlebird.data.token_stream import TokenStream
from fairseq_littlebird.text.tokenizers import ByteTokenizer, CharacterTokenizer, Tokenizer

CHUNK = 1 << 20  # tokens


class TextSize(NamedTuple):
    """Counts of a text; None where no tokenizer says what its tokens spell.

    Args:
        characters: of Unicode; ``</s>`` ends a line, which is one.
        bytes: of UTF-8.
        unknown: tokens ``<unk>``, whose text is lost and not counted.
    """

    characters: int | None
    bytes: int | None
    unknown: int


def text_size(stream: TokenStream, dictionary: Dictionary, tokenizer: Tokenizer | None) -> TextSize:
    """The size of a stream's text."""
    counts = np.zeros(len(dictionary), np.int64)  # [V]
    for chunk in _chunks(stream):
        counts += np.bincount(chunk, minlength=len(dictionary))
    unknown = int(counts[dictionary.unk()])
    if tokenizer is None:
        return TextSize(None, None, unknown)
    if isinstance(tokenizer, (CharacterTokenizer, ByteTokenizer)):
        sizes = [_size(tokenizer, symbol) for symbol in dictionary.symbols]
        sizes[dictionary.eos()] = 1, 1
        characters, size = counts @ np.array(sizes)
        return TextSize(int(characters), int(size), unknown)
    characters = size = 0
    for line, ended in _lines(stream, dictionary.eos()):
        text = tokenizer.decode(dictionary.symbols[token] for token in line)
        characters += len(text) + ended
        size += len(text.encode()) + ended
    return TextSize(characters, size, unknown)


def _size(tokenizer: CharacterTokenizer | ByteTokenizer, symbol: str) -> tuple[int, int]:
    """Characters and bytes of one symbol; a byte of UTF-8 that goes on with a character is none of its own."""
    if isinstance(tokenizer, ByteTokenizer):
        byte = tokenizer.bytes.get(symbol)
        return (0, 0) if byte is None else (int((byte & 0xC0) != 0x80), 1)
    text = tokenizer.texts.get(symbol, "")
    return len(text), len(text.encode())


def _chunks(stream: TokenStream) -> Iterator[np.ndarray]:
    for start in range(0, len(stream), CHUNK):
        yield stream.read(start, min(start + CHUNK, len(stream)))


def _lines(stream: TokenStream, eos: int) -> Iterator[tuple[list[int], bool]]:
    """The tokens of each line without ``</s>``, and whether it had one; the last may have none."""
    line: list[int] = []
    for chunk in _chunks(stream):
        *ended, rest = np.split(chunk, np.flatnonzero(chunk == eos) + 1)
        for part in ended:
            yield [*line, *part[:-1].tolist()], True
            line = []
        line += rest.tolist()
    if line:
        yield line, False
