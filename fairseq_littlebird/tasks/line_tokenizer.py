"""The tokenizer of a folder for fairseq's commands that read and print lines."""

from __future__ import annotations

from fairseq_littlebird.text.tokenizers import Tokenizer


class LineTokenizer:
    """A tokenizer as fairseq's ``--bpe``: a line of text to symbols with spaces between them, and back.

    Line ends that symbols spell are printed as ``\\n``, so that a text stays a line.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> str:
        return " ".join(self._tokenizer.tokenize(text))

    def decode(self, symbols: str) -> str:
        return "\\n".join(self._tokenizer.decode(symbols.split()).split("\n"))
