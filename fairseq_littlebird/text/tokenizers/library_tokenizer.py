"""Tokenizers of the tokenizers library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers.base import SPECIAL, UNKNOWN, dictionary_symbol, without_surrogates
from fairseq_littlebird.text.tokenizers.offsets import OffsetFitter


class LibraryTokenizer:
    """A tokenizer of the ``tokenizers`` library.

    Args:
        kind: see :class:`Tokenizer`.
        tokenizer: a ``tokenizers.Tokenizer``.
        files: see :class:`Tokenizer`.
        numbers: symbols are the vocabulary's numbers instead of its pieces.
        unknown: the vocabulary's name for an unknown token.
        special: fairseq's special symbols by the vocabulary's names, where these are neither BERT's nor fairseq's.
        decoder: of ``tokenizers.decoders``; None takes the tokenizer's own, or WordPiece's.
    """

    def __init__(
        self,
        kind: str,
        tokenizer: Any,
        files: dict[str, Path],
        numbers: bool = False,
        unknown: str = "[UNK]",
        special: Mapping[str, str] | None = None,
        decoder: Any = None,
    ) -> None:
        self.kind = kind
        self.files = files
        self._tokenizer = tokenizer
        self._decoder = decoder or tokenizer.decoder or tokenizers_library().decoders.WordPiece()
        tokenizer.no_truncation()
        tokenizer.no_padding()
        theirs = SPECIAL if special is None else SPECIAL | dict(special)
        added = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
        excluded = added | set(theirs) | {unknown, "<|endoftext|>"}
        pieces = sorted(tokenizer.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
        own = dict(pieces)
        self._symbol = {
            index: str(index) if numbers else symbol
            for piece, index in pieces
            if piece not in excluded and (symbol := dictionary_symbol(piece, own)) is not None
        }
        self._piece = {self._symbol[index]: piece for piece, index in pieces if index in self._symbol}
        names = {name: own[symbol] for symbol, name in theirs.items() if symbol in own}
        names |= {UNKNOWN: own[unknown]} if unknown in own else {}
        self._numbers = {self._symbol.get(index, piece): index for piece, index in pieces} | names
        self._fitter = OffsetFitter(None if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str)

    def copy(self) -> Any:
        """A ``tokenizers.Tokenizer`` like the one within."""
        return type(self._tokenizer).from_str(self._tokenizer.to_str())

    def symbols(self) -> list[str]:
        return list(self._symbol.values())

    def numbers(self) -> dict[str, int]:
        return dict(self._numbers)

    def tokenize(self, text: str) -> list[str]:
        return self._symbols_of(self._encode(without_surrogates(text)))

    def decode(self, symbols: Iterable[str]) -> str:
        pieces = [self._piece[symbol] for symbol in symbols if symbol in self._piece]
        text: str = self._decoder.decode(pieces)
        return text.strip()

    def _encode(self, text: str) -> Any:
        self._tokenizer.encode_special_tokens = True  # as text; pickling forgets it
        try:
            return self._tokenizer.encode(text, add_special_tokens=False)
        except Exception as error:  # the library raises bare Exception
            files = " and ".join(map(str, self.files.values()))
            raise UserError(f"this tokenizer cannot read text ({error})", files, "copy its files again") from error

    def _symbols_of(self, encoding: Any) -> list[str]:
        return [self._symbol.get(index, UNKNOWN) for index in encoding.ids]

    def encode(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        text = without_surrogates(text)
        encoding = self._encode(text)
        if not encoding.ids:
            return [], []
        offsets = np.asarray(encoding.offsets, dtype=np.int64)
        return self._symbols_of(encoding), self._fitter.fit(text, offsets[:, 0], offsets[:, 1])


def tokenizers_library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise UserError(
            "this tokenizer needs the tokenizers library",
            remedy="pip install fairseq_littlebird[tokenizers]",
        ) from error
    return tokenizers
