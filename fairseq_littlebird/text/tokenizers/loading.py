"""The tokenizer of a file or a folder."""

from __future__ import annotations

from pathlib import Path

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inputs import check_rereadable
from fairseq_littlebird.text.tokenizers.base import Tokenizer
from fairseq_littlebird.text.tokenizers.byte_bpe import byte_bpe, gpt2_bpe
from fairseq_littlebird.text.tokenizers.characters import NAME as CHARACTERS
from fairseq_littlebird.text.tokenizers.characters import character_tokenizer
from fairseq_littlebird.text.tokenizers.sentencepiece_tokenizer import SentencePieceTokenizer
from fairseq_littlebird.text.tokenizers.tokenizer_json import tokenizer_json
from fairseq_littlebird.text.tokenizers.wordpiece import wordpiece


def load_tokenizer(path: str | Path, dictionary: str | Path | None = None) -> Tokenizer:
    """The tokenizer of a file, or of a folder that holds one.

    Args:
        path: SentencePiece ``*.model``, WordPiece ``*.txt``, ``*.json`` of the tokenizers library, or a
            folder with ``sentencepiece.model``, ``encoder.json`` and ``vocab.bpe``, ``tokenizer.json``,
            ``vocab.json`` and ``merges.txt``, ``vocab.txt``, ``characters.json`` or a single ``*.model`` (the first
            of these that is there).
        dictionary: the dict.txt that the symbols will be looked up in (default: the one beside the files). It
            decides whether GPT-2 symbols are numbers, as in RoBERTa's dict.txt, or pieces.

    Raises:
        UserError: no tokenizer there, a file of another format, or the tokenizers library is missing.
    """
    path = Path(path)
    for file in (path, dictionary):
        check_rereadable(file or path)
    if not path.exists():
        raise UserError("no such tokenizer file or folder", where=str(path), remedy="check the path")
    if path.is_dir():
        return _load_from_folder(path, dictionary)
    if path.suffix == ".model":
        return SentencePieceTokenizer(path)
    if path.suffix == ".txt":
        return wordpiece(path)
    if path.name == "encoder.json" or path.suffix == ".bpe":
        return gpt2_bpe(path.parent, dictionary)
    if path.name == CHARACTERS:
        return character_tokenizer(path)
    if path.suffix == ".json":
        return tokenizer_json(path)
    raise UserError(
        "not a tokenizer file",
        where=str(path),
        remedy="give a SentencePiece .model, a WordPiece vocab.txt, a tokenizer.json, or a folder with one "
        "of them or with encoder.json and vocab.bpe",
    )


def _load_from_folder(folder: Path, dictionary: str | Path | None) -> Tokenizer:
    models = sorted(folder.glob("*.model"))
    if (folder / "sentencepiece.model").exists():
        return SentencePieceTokenizer(folder / "sentencepiece.model")
    if (folder / "encoder.json").exists() and (folder / "vocab.bpe").exists():
        return gpt2_bpe(folder, dictionary)
    if (folder / "tokenizer.json").exists():
        return tokenizer_json(folder / "tokenizer.json")
    if (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        return byte_bpe({name: folder / name for name in ("vocab.json", "merges.txt")}, numbers=False)
    if (folder / "vocab.txt").exists():
        return wordpiece(folder / "vocab.txt")
    if (folder / CHARACTERS).exists():
        return character_tokenizer(folder / CHARACTERS)
    if len(models) == 1:
        return SentencePieceTokenizer(models[0])
    raise UserError(
        f"no tokenizer in this folder ({len(models)} .model files)",
        where=str(folder),
        remedy="it needs sentencepiece.model, encoder.json and vocab.bpe, tokenizer.json, vocab.json and merges.txt, "
        "or vocab.txt",
    )
