"""Tokenizers of the SentencePiece library."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers.base import SPECIAL, UNKNOWN, is_dictionary_symbol, without_surrogates
from fairseq_littlebird.text.tokenizers.offsets import OffsetFitter


class SentencePieceTokenizer:
    """SentencePiece, any model type and normalization.

    Pieces live in normalized text. Together they spell it, byte for byte, so that a piece's place there is a
    sum of lengths, and SentencePiece's own alignment leads from normalized bytes back to the original's.
    """

    kind = "sentencepiece"

    def __init__(self, path: Path) -> None:
        import sentencepiece

        try:
            self._model = sentencepiece.SentencePieceProcessor(model_file=str(path))
            for i in range(self._model.get_piece_size()):
                self._model.id_to_piece(i)
        except (RuntimeError, OSError, UnicodeDecodeError) as error:  # its pieces, or its complaint, are not UTF-8
            raise UserError(
                "not a SentencePiece model", where=str(path), remedy="train one: littlebird-prepare tokenizer"
            ) from error
        self.files = {"sentencepiece.model": path}
        model = self._model
        count = model.get_piece_size()
        self._bytes = {model.id_to_piece(i) for i in range(count) if model.is_byte(i)}
        self._symbols = [
            model.id_to_piece(i)
            for i in range(count)
            if not (model.is_control(i) or model.is_unknown(i) or model.is_unused(i))
            and model.id_to_piece(i) not in SPECIAL
            and is_dictionary_symbol(model.id_to_piece(i))
        ]
        numbers = {model.id_to_piece(i): i for i in range(count)}
        # BigBird's model has both [CLS] and an unused <s>
        self._numbers = numbers | {ours: numbers[theirs] for theirs, ours in SPECIAL.items() if theirs in numbers}
        self._known = set(self._symbols)
        self._fitter = OffsetFitter(self._normalized)

    def symbols(self) -> list[str]:
        return list(self._symbols)

    def numbers(self) -> dict[str, int]:
        return dict(self._numbers)

    def tokenize(self, text: str) -> list[str]:
        return self._known_only(self._model.encode(without_surrogates(text), out_type=str))

    def decode(self, symbols: Iterable[str]) -> str:
        text: str = self._model.decode([symbol for symbol in symbols if symbol in self._known])
        return text.strip()

    def _known_only(self, pieces: list[str]) -> list[str]:
        # an unknown piece is the text itself, which might be spelled like any symbol
        return [piece if piece in self._known else UNKNOWN for piece in pieces]

    def encode(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        text = without_surrogates(text)
        pieces: list[str] = self._model.encode(text, out_type=str)
        if not pieces:
            return [], []
        source = text.encode()
        normalized, alignment = self._model.normalize(source, with_offsets=True)
        lengths = [1 if piece in self._bytes else len(piece.encode()) for piece in pieces]
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        if bounds[-1] != len(normalized):
            raise UserError(
                "this SentencePiece model cannot be aligned with its text",
                where=str(self.files["sentencepiece.model"]),
                remedy="use a model without user-defined symbols that its normalizer changes",
            )
        aligned = np.asarray(alignment, dtype=np.int64)
        begins = aligned[bounds[:-1]]
        # a piece that ends inside what one character became covers that character whole
        last = aligned[bounds[1:] - 1]
        ends = aligned[np.minimum(np.searchsorted(aligned, last, side="right"), len(normalized))]
        spaces = np.fromiter((not piece.strip("\u2581") for piece in pieces), bool, len(pieces))
        ends = np.where(spaces, aligned[bounds[1:]], ends)
        character = np.concatenate([[0], np.cumsum((np.frombuffer(source, np.uint8) & 0xC0) != 0x80)])
        return self._known_only(pieces), self._fitter.fit(text, character[begins], character[ends])

    def _normalized(self, text: str) -> str:
        return self._model.normalize(text).replace("\u2581", " ")
