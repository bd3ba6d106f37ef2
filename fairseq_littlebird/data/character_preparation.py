"""Text becomes a folder of characters or bytes for language models; ``character_metadata.py`` describes its files."""

from __future__ import annotations

import codecs
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder
from tqdm import tqdm

from fairseq_littlebird.data.character_metadata import DATASET, NAMES, VERSION
from fairseq_littlebird.data.dictionary import read_dictionary
from fairseq_littlebird.data.prepared import SPLITS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.opening import kept, open_binary, open_text
from fairseq_littlebird.inputs import check_given_once
from fairseq_littlebird.output import check_folder, whole_folder
from fairseq_littlebird.text.tokenizers import ByteTokenizer, CharacterTokenizer
from fairseq_littlebird.text.tokenizers.characters import NAME, character_of_symbol
from fairseq_littlebird.text.workers import ordered_map

CHUNK = 1 << 20  # characters or bytes read at once
ITEM = 16381
"""Tokens of an item of the data set: fairseq's own task reads whole items, and puts ``</s>`` before a block that begins
where an item does, which hardly any does with a prime."""
CODES = 0x110000  # of Unicode


class Chunk(NamedTuple):
    """A part of a file, and where it begins.

    Args:
        text: of characters, or bytes.
        file: its path.
        line, column: of its first character, counted from 1.
        offset: of its first byte, counted from 0.
    """

    text: str | bytes
    file: str
    line: int = 1
    column: int = 1
    offset: int = 0

    def place(self, at: int) -> str:
        """Where the character or byte ``at`` of the chunk is, in words."""
        if isinstance(self.text, bytes):
            return f"{self.file}, offset {self.offset + at:,}"
        line, column = self.end(at)
        return f"{self.file}, line {line:,}, column {column:,}"

    def end(self, stop: int) -> tuple[int, int]:
        """Line and column of the character ``stop``."""
        assert isinstance(self.text, str)
        last = self.text.rfind("\n", 0, stop)
        return self.line + self.text.count("\n", 0, stop), self.column + stop if last < 0 else stop - last

    def codes(self) -> np.ndarray:
        """<integer>[n], of its characters or bytes."""
        if isinstance(self.text, bytes):
            return np.frombuffer(self.text, np.uint8)
        return np.frombuffer(self.text.encode("utf-32-le"), np.uint32)


def prepare_characters(
    files: Mapping[str, Sequence[str | Path]],
    destination: str | Path,
    as_bytes: bool = False,
    dictionary: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes a folder of characters or bytes; the same one for any number of workers, in memory that does not grow.

    Args:
        files: split -> its files, plain or compressed, one text together; ``-`` is standard input.
        destination: the folder.
        as_bytes: a token a byte of the files as they are, not a character of UTF-8.
        dictionary: the dict.txt of an earlier call; None makes one, of characters that of the training files.
        workers: processes that look tokens up; 0 or 1 for none.
        overwrite: whether to replace a prepared folder.
    Returns:
        ``symbols``, the number of lines in dict.txt, and ``splits``: split -> counts of its characters and bytes.
    Raises:
        UserError: bad input, such as a character that the dictionary lacks, named by file and place; the destination
            is left as it was.
    """
    paths = {split: [Path(file) for file in files[split]] for split in SPLITS if files.get(split)}
    if not paths:
        raise UserError("no input files", remedy="give --input, --valid or --test files")
    if "train" not in paths and dictionary is None and not as_bytes:
        raise UserError("nothing says which characters there are", remedy="give --input, or the --dict of a model")
    check_given_once(chain(*paths.values()))
    check_folder(destination, NAMES, overwrite)
    with kept(paths.get("train", ())) as readable, whole_folder(destination, NAMES, overwrite) as folder:
        sources = {split: [*zip(paths[split], paths[split], strict=True)] for split in paths}
        if "train" in paths:
            sources["train"] = [*zip(readable, paths["train"], strict=True)]  # read twice
        counts = np.zeros(256 if as_bytes else CODES, np.int64)
        if "train" in paths and (as_bytes or dictionary is None):
            for chunk in _chunks(sources["train"], as_bytes, "counting"):
                counts += np.bincount(chunk.codes(), minlength=len(counts))
        tokenizer = _tokenizer(as_bytes, counts, dictionary)
        if dictionary is None:
            _write_dictionary(folder / "dict.txt", tokenizer, counts)
        else:
            (folder / "dict.txt").write_bytes(Path(dictionary).read_bytes().removeprefix(codecs.BOM_UTF8))
        (folder / NAME).write_text(tokenizer.description(), encoding="utf-8")
        symbols = read_dictionary(folder / "dict.txt", added=())
        encode = _Encoder(tokenizer, symbols)
        summary: dict[str, Any] = {"symbols": len(tokenizer.symbols()), "splits": {}}
        for split, named in sources.items():
            chunks = ordered_map(encode, _chunks(named, as_bytes, split), workers)
            summary["splits"][split] = _write_split(folder / split, chunks, len(symbols))
        settings = {"version": VERSION, "dataset": DATASET, "unit": tokenizer.kind, "splits": summary["splits"]}
        (folder / "prepared.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    return summary


def _tokenizer(as_bytes: bool, counts: np.ndarray, dictionary: str | Path | None) -> CharacterTokenizer | ByteTokenizer:
    """That of the characters that were counted, the most frequent first, or of an earlier dict.txt."""
    if dictionary is None:
        if as_bytes:
            return ByteTokenizer()
        codes = np.flatnonzero(counts)
        return CharacterTokenizer([chr(code) for code in codes[np.argsort(-counts[codes], kind="stable")]])
    known = read_dictionary(Path(dictionary), added=())
    symbols = known.symbols[known.nspecial :]
    remedy = "give the dict.txt of a folder that littlebird-prepare characters wrote"
    if as_bytes:
        if not {*ByteTokenizer().symbols()} <= {*symbols}:
            raise UserError("not a dictionary of all bytes", str(dictionary), f"{remedy} with --bytes")
        return ByteTokenizer()
    characters = [character_of_symbol(symbol) for symbol in symbols]
    if {*ByteTokenizer().symbols()} <= {*symbols}:
        raise UserError("a dictionary of bytes", str(dictionary), "add --bytes")
    found = [character for character in characters if character is not None]
    if 2 * len(found) <= len(symbols):
        raise UserError("not a dictionary of characters", str(dictionary), remedy)
    return CharacterTokenizer(found)


def _write_dictionary(path: Path, tokenizer: CharacterTokenizer | ByteTokenizer, counts: np.ndarray) -> None:
    codes = tokenizer.bytes if isinstance(tokenizer, ByteTokenizer) else {s: ord(c) for s, c in tokenizer.texts.items()}
    lines = (f"{symbol} {counts[code]}\n" for symbol, code in codes.items())
    path.write_text("".join(lines), encoding="utf-8")


class _Encoded(NamedTuple):
    """Token ids <integer>[n] of a chunk, and its part of the counts."""

    ids: np.ndarray
    characters: int
    bytes: int


class _Encoder:
    """Looks the tokens of a chunk up; runs in the worker processes."""

    def __init__(self, tokenizer: CharacterTokenizer | ByteTokenizer, symbols: Dictionary) -> None:
        byte = isinstance(tokenizer, ByteTokenizer)
        codes = tokenizer.bytes if byte else {s: ord(c) for s, c in tokenizer.texts.items()}  # type: ignore[union-attr]
        self._table = np.full(256 if byte else CODES, -1, np.int32)
        for symbol, code in codes.items():
            self._table[code] = symbols.indices[symbol]

    def __call__(self, chunk: Chunk) -> _Encoded:
        codes = chunk.codes()
        ids = self._table[codes]
        if (ids < 0).any():
            at = int(np.argmax(ids < 0))
            character = repr(chr(codes[at]))
            raise UserError(
                f"the character {character} (U+{int(codes[at]):04X}) is not in the dictionary",
                chunk.place(at),
                "leave it out, add its text to --input, or take --bytes, which knows every text",
            )
        if isinstance(chunk.text, bytes):
            begins = int(((codes & 0xC0) != 0x80).sum())  # bytes of UTF-8 that go on with a character are 10xxxxxx
            return _Encoded(ids, begins, len(codes))
        return _Encoded(ids, len(codes), sum(int((codes >= least).sum()) for least in (0, 0x80, 0x800, 0x10000)))


def _write_split(path: Path, chunks: Iterator[_Encoded], vocabulary: int) -> dict[str, int]:
    """Writes the data set of a split, and returns what is counted of it."""
    builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=np.uint16 if vocabulary < 65500 else np.int32)
    builder._sizes = array("i")  # a list would hold a Python integer an item
    count = {"tokens": 0, "characters": 0, "bytes": 0}
    rest = np.zeros(0, np.int32)
    for encoded in chunks:
        count["tokens"] += len(encoded.ids)
        count["characters"] += encoded.characters
        count["bytes"] += encoded.bytes
        ids = np.concatenate([rest, encoded.ids])
        whole = len(ids) // ITEM * ITEM
        for start in range(0, whole, ITEM):
            builder.add_item(torch.from_numpy(ids[start : start + ITEM]))
        rest = ids[whole:]
    if len(rest):
        builder.add_item(torch.from_numpy(rest))
    builder.finalize(f"{path}.idx")
    return count


def _chunks(files: Sequence[tuple[Path, Path]], as_bytes: bool, title: str) -> Iterator[Chunk]:
    """The text of files one after the other, about a megabyte at a time; of each the path to read and its name."""
    unit = " bytes" if as_bytes else " characters"
    with tqdm(desc=title, unit=unit, unit_scale=True, mininterval=0.5) as progress:
        for path, name in files:
            line, column, offset = 1, 1, 0
            with open_binary(path) if as_bytes else open_text(path, newline="") as stream:
                while text := stream.read(CHUNK):
                    chunk = Chunk(text, str(name), line, column, offset)
                    yield chunk
                    offset += len(text)
                    if isinstance(text, str):
                        line, column = chunk.end(len(text))
                    progress.update(len(text))
            if not offset:
                raise UserError("no text in this file", str(name), "leave the file out")
