"""The tokenizer of a folder for fairseq's commands that read and print lines."""

from __future__ import annotations

import logging

from fairseq_littlebird.text.tokenizers import CHARACTERS, UNKNOWN, Tokenizer

logger = logging.getLogger(__name__)


class LineTokenizer:
    """A tokenizer as fairseq's ``--bpe``: a line of text to symbols with spaces between them, and back.

    Line ends that symbols spell are printed as ``\\n``, so that a text stays a line. The first line with something
    unknown gets a warning.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._warned = False

    def encode(self, text: str) -> str:
        symbols = self._tokenizer.tokenize(text)
        if UNKNOWN in symbols and not self._warned:
            self._warned = True
            what = f"{text[symbols.index(UNKNOWN)]!r}" if self._tokenizer.kind == CHARACTERS else "a word"
            logger.warning("%s of the line %r is not in the dictionary: the model reads <unk> (said once)", what, text)
        return " ".join(symbols)

    def decode(self, symbols: str) -> str:
        return "\\n".join(self._tokenizer.decode(symbols.split()).split("\n"))
