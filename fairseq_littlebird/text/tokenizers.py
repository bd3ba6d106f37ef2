"""Tokenizers that return dictionary symbols and exact character offsets into the text as given.

Offsets, for every tokenizer and any Unicode text:

- each token covers, with [start, end), the characters that it was made of;
- starts and ends never decrease; two tokens overlap only where both come from one character (the bytes of
  an emoji, the letters of a ligature), which both then cover whole;
- white space and characters that the tokenizer's normalizer deletes belong to no token, unless they lie
  between two characters of one token, or the token is made of nothing else; combining marks stay with
  their base character.

Text never becomes a special symbol: ``<s>`` or ``[QUESTION]`` in a document is text like any other.
"""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inputs import check_rereadable

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
)
"""Every name in a tokenizer's folder."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Tokenizer(Protocol):
    """What every tokenizer here offers.

    Args:
        kind: ``sentencepiece``, ``wordpiece``, ``gpt2_bpe`` or ``tokenizer_json``.
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

    def symbols(self) -> list[str]:
        """Every symbol that :meth:`encode` may return but ``<unk>``, in the vocabulary's order."""
        ...

    def numbers(self) -> dict[str, int]:
        """The vocabulary's own number of every symbol, of its special symbols under fairseq's names, and of all else.

        A pretrained model's word embeddings are in the order of these numbers.
        """
        ...


def load_tokenizer(path: str | Path, dictionary: str | Path | None = None) -> Tokenizer:
    """The tokenizer of a file, or of a folder that holds one.

    Args:
        path: SentencePiece ``*.model``, WordPiece ``*.txt``, ``*.json`` of the tokenizers library, or a
            folder with ``sentencepiece.model``, ``encoder.json`` and ``vocab.bpe``, ``tokenizer.json``,
            ``vocab.json`` and ``merges.txt``, ``vocab.txt`` or a single ``*.model`` (the first of these that is
            there).
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
        return _wordpiece(path)
    if path.name == "encoder.json" or path.suffix == ".bpe":
        return _gpt2_bpe(path.parent, dictionary)
    if path.suffix == ".json":
        return _tokenizer_json(path)
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
        return _gpt2_bpe(folder, dictionary)
    if (folder / "tokenizer.json").exists():
        return _tokenizer_json(folder / "tokenizer.json")
    if (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        return _byte_bpe({name: folder / name for name in ("vocab.json", "merges.txt")}, numbers=False)
    if (folder / "vocab.txt").exists():
        return _wordpiece(folder / "vocab.txt")
    if len(models) == 1:
        return SentencePieceTokenizer(models[0])
    raise UserError(
        f"no tokenizer in this folder ({len(models)} .model files)",
        where=str(folder),
        remedy="it needs sentencepiece.model, encoder.json and vocab.bpe, tokenizer.json, vocab.json and merges.txt, "
        "or vocab.txt",
    )


def without_surrogates(text: str) -> str:
    """``text`` with lone surrogates, which UTF-8 cannot hold, replaced by U+FFFD; no offset moves."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def is_dictionary_symbol(symbol: str) -> bool:
    """Whether a line of dict.txt can hold the symbol: not special, without white space."""
    return symbol not in RESERVED and symbol.split() == [symbol]


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
        self._blank: dict[str, bool] = {}

    def symbols(self) -> list[str]:
        return list(self._symbols)

    def numbers(self) -> dict[str, int]:
        return dict(self._numbers)

    def tokenize(self, text: str) -> list[str]:
        return self._known_only(self._model.encode(without_surrogates(text), out_type=str))

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
        offsets = _fit(text, character[begins], character[ends], self._is_blank)
        return self._known_only(pieces), offsets

    def _is_blank(self, character: str) -> bool:
        if character not in self._blank:
            self._blank[character] = not self._model.normalize(character).strip("\u2581 ")
        return self._blank[character]


class LibraryTokenizer:
    """A tokenizer of the ``tokenizers`` library.

    Args:
        kind: see :class:`Tokenizer`.
        tokenizer: a ``tokenizers.Tokenizer``.
        files: see :class:`Tokenizer`.
        numbers: symbols are the vocabulary's numbers instead of its pieces.
        unknown: the vocabulary's name for an unknown word.
    """

    def __init__(
        self, kind: str, tokenizer: Any, files: dict[str, Path], numbers: bool = False, unknown: str = "[UNK]"
    ) -> None:
        self.kind = kind
        self.files = files
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
        excluded = special | set(SPECIAL) | {unknown, "<|endoftext|>"}
        pieces = sorted(tokenizer.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
        self._symbol = {
            index: str(index) if numbers else piece
            for piece, index in pieces
            if piece not in excluded and is_dictionary_symbol(piece)
        }
        own = dict(pieces)
        names = {name: own[theirs] for theirs, name in SPECIAL.items() if theirs in own}
        names |= {UNKNOWN: own[unknown]} if unknown in own else {}
        self._numbers = {self._symbol.get(index, piece): index for piece, index in pieces} | names
        self._blank: dict[str, bool] = {}

    def copy(self) -> Any:
        """A ``tokenizers.Tokenizer`` like the one within."""
        return type(self._tokenizer).from_str(self._tokenizer.to_str())

    def symbols(self) -> list[str]:
        return list(self._symbol.values())

    def numbers(self) -> dict[str, int]:
        return dict(self._numbers)

    def tokenize(self, text: str) -> list[str]:
        return self._symbols_of(self._encode(without_surrogates(text)))

    def _encode(self, text: str) -> Any:
        self._tokenizer.encode_special_tokens = True  # as text; pickling forgets it
        try:
            return self._tokenizer.encode(text, add_special_tokens=False)
        except Exception as error:  # the library raises bare Exception
            files = " and ".join(map(str, self.files.values()))
            raise UserError(f"this tokenizer cannot read text ({error})", files, "take its files anew") from error

    def _symbols_of(self, encoding: Any) -> list[str]:
        return [self._symbol.get(index, UNKNOWN) for index in encoding.ids]

    def encode(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        text = without_surrogates(text)
        encoding = self._encode(text)
        if not encoding.ids:
            return [], []
        offsets = np.asarray(encoding.offsets, dtype=np.int64)
        return self._symbols_of(encoding), _fit(text, offsets[:, 0], offsets[:, 1], self._is_blank)

    def _is_blank(self, character: str) -> bool:
        if self._tokenizer.normalizer is None or character == "\u2581":
            return False
        if character not in self._blank:
            self._blank[character] = not self._tokenizer.normalizer.normalize_str(character).strip("\u2581 ")
        return self._blank[character]


def _wordpiece(path: Path) -> LibraryTokenizer:
    library = _library()
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
    return LibraryTokenizer("wordpiece", tokenizer, files)


def _lowercase(settings: Path, pieces: list[str]) -> bool:
    """What tokenizer_config.json says; without one, text is lower-cased if no piece has a capital."""
    if settings.exists():
        lowercase = _read_json(settings).get("do_lower_case")
        if isinstance(lowercase, bool):
            return lowercase
    return not any(piece != piece.lower() for piece in pieces if not re.fullmatch(r"\[\w+\]", piece))


def _gpt2_bpe(folder: Path, dictionary: str | Path | None) -> LibraryTokenizer:
    lines = Path(dictionary) if dictionary else folder / "dict.txt"
    numbers = not lines.exists() or _holds_numbers(lines)
    return _byte_bpe({name: folder / name for name in ("encoder.json", "vocab.bpe")}, numbers)


def _byte_bpe(files: dict[str, Path], numbers: bool) -> LibraryTokenizer:
    library = _library()
    try:
        with TemporaryDirectory() as folder:  # the library knows no byte-order mark
            paths = [Path(folder) / file.name for file in files.values()]
            for path, file in zip(paths, files.values(), strict=True):
                path.write_bytes(file.read_bytes().removeprefix(codecs.BOM_UTF8))
            model = library.models.BPE.from_file(*map(str, paths))
    except OSError:
        raise
    except Exception as error:  # the library raises bare Exception
        raise UserError(
            f"not GPT-2 byte BPE files ({error})",
            where=" and ".join(map(str, files.values())),
            remedy="give encoder.json and vocab.bpe",
        ) from error
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return LibraryTokenizer("gpt2_bpe", tokenizer, files, numbers=numbers)


def _holds_numbers(dictionary: Path) -> bool:
    with dictionary.open(encoding="utf-8-sig", errors="replace") as lines:
        symbols = [line.split(" ")[0] for line in lines]
    return sum(symbol.isdigit() for symbol in symbols) * 2 > len(symbols)


def _tokenizer_json(path: Path) -> LibraryTokenizer:
    library = _library()
    try:
        tokenizer = library.Tokenizer.from_str(path.read_text("utf-8-sig"))
    except OSError:
        raise
    except Exception as error:  # the library raises bare Exception
        raise UserError(
            f"not a tokenizer.json ({error})", where=str(path), remedy="give a file of the tokenizers library"
        ) from error
    unknown = _read_json(path).get("model", {}).get("unk_token")
    return LibraryTokenizer("tokenizer_json", tokenizer, {"tokenizer.json": path}, unknown=unknown or "[UNK]")


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise UserError(
            "this tokenizer needs the tokenizers library",
            remedy="pip install fairseq_littlebird[tokenizers]",
        ) from error
    return tokenizers


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON ({error})", where=str(path), remedy="repair or remove the file") from error
    return content if isinstance(content, dict) else {}


def _fit(text: str, begins: np.ndarray, ends: np.ndarray, is_blank: Callable[[str], bool]) -> list[tuple[int, int]]:
    """Token offsets without white space and deleted characters at the ends, with their combining marks."""
    n = len(text)
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    # tables by code point: sorting the characters of a long text would take longer than all else here
    is_mark, is_space = np.zeros((2, int(codes.max()) + 1), dtype=bool)
    for c in set(text):
        is_mark[ord(c)] = unicodedata.category(c).startswith("M")
        is_space[ord(c)] = not is_mark[ord(c)] and (c.isspace() or is_blank(c))
    marks, blank = is_mark[codes], is_space[codes]

    position = np.arange(n)
    next_solid = np.append(np.minimum.accumulate(np.where(blank, n, position)[::-1])[::-1], n)
    last_solid = np.append(0, np.maximum.accumulate(np.where(blank, 0, position + 1)))
    trimmed_begins, trimmed_ends = next_solid[begins], last_solid[ends]
    solid = trimmed_begins < trimmed_ends
    begins, ends = np.where(solid, trimmed_begins, begins), np.where(solid, trimmed_ends, ends)

    next_base = np.append(np.minimum.accumulate(np.where(marks, n, position)[::-1])[::-1], n)
    following = np.append(begins[1:], n)
    with_marks = np.minimum(next_base[ends], following)
    ends = np.where(solid & (with_marks > ends), with_marks, ends)

    begins = np.maximum.accumulate(begins)
    ends = np.maximum(np.maximum.accumulate(ends), begins)
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


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
