"""WordPiece, as BERT has it: vocab.txt and the case that tokenizer_config.json tells."""

from __future__ import annotations

import re
from pathlib import Path

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers.library_tokenizer import LibraryTokenizer, tokenizers_library
from fairseq_littlebird.text.tokenizers.tokenizer_json import read_json


def wordpiece(path: Path) -> LibraryTokenizer:
    library = tokenizers_library()
    with path.open(encoding="utf-8-sig") as lines:
        try:
            pieces = [line.rstrip("\r\n") for line in lines]
        except UnicodeDecodeError as error:
            raise UserError("not UTF-8 text", where=str(path), remedy="convert the file to UTF-8") from error
    if "[UNK]" not in pieces:
        raise UserError("not a WordPiece vocabulary (no [UNK] line)", where=str(path), remedy="give a BERT vocab.txt")
    tokenizer = library.Tokenizer(
        library.models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    settings = path.with_name("tokenizer_config.json")
    tokenizer.normalizer = library.normalizers.BertNormalizer(lowercase=_lowercase(settings, pieces))
    tokenizer.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    files = {"vocab.txt": path} | ({"tokenizer_config.json": settings} if settings.exists() else {})
    return LibraryTokenizer("wordpiece", tokenizer, files, decoder=library.decoders.WordPiece())


def _lowercase(settings: Path, pieces: list[str]) -> bool:
    """What tokenizer_config.json says; without one, text is lower-cased if no piece has a capital."""
    if settings.exists():
        lowercase = read_json(settings).get("do_lower_case")
        if isinstance(lowercase, bool):
            return lowercase
    return not any(piece != piece.lower() for piece in pieces if not re.fullmatch(r"\[\w+\]", piece))
