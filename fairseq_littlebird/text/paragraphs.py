"""A document put together from paragraphs that the model shall see apart."""

from __future__ import annotations

from fairseq_littlebird.text.example import Piece

PARAGRAPH_BREAK = "\n\n"
"""What stands between two paragraphs of a document."""

SEPARATOR = "</s>"
"""What the model reads in its place, where paragraphs are to be told apart."""


class Paragraphs:
    """Grows a document paragraph by paragraph."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._pieces: list[Piece] = []
        self._length = 0

    def add(self, text: str) -> int:
        """Appends a paragraph and returns the character at which it starts."""
        start = self._length
        if self._texts:
            start += len(PARAGRAPH_BREAK)
            self._pieces.append(Piece(self._length, start, symbol=SEPARATOR))
        self._texts.append(text)
        self._length = start + len(text)
        self._pieces.append(Piece(start, self._length))
        return start

    @property
    def document(self) -> str:
        return PARAGRAPH_BREAK.join(self._texts)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return tuple(self._pieces)
