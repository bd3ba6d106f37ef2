"""Text files as lines of dictionary symbols, for ``fairseq-preprocess``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.text.tokenizers import UNKNOWN, Tokenizer
from fairseq_littlebird.text.workers import ordered_map

LONGEST_LINE = 60_000
"""Tokens; fairseq holds the sizes of token blocks in 16 bits."""

_BATCH = 1 << 18


def write_symbol_lines(
    files: Iterable[str | Path], tokenizer: Tokenizer, output: Path, workers: int = 1
) -> dict[str, int]:
    """One output line, symbols with a space between, for each line of text; blank lines part the documents.

    A file ends a document. A line of more than ``LONGEST_LINE`` tokens becomes several lines; one without any
    token becomes ``<unk>``, so that it does not end a document.

    Args:
        files: UTF-8 text, documents separated by blank lines.
        tokenizer: see ``text.tokenizers``.
        output: the file to write.
        workers: processes that tokenize; 0 or 1 for none.

    Returns:
        Counts of documents, lines, tokens, unknown tokens and broken lines.

    Raises:
        UserError: a file without text, or an unreadable one.
    """
    count = dict.fromkeys(("documents", "lines", "tokens", "unknown", "broken"), 0)
    in_document = False
    encode = _BatchEncoder(tokenizer)
    with (
        output.open("w", encoding="utf-8", newline="\n") as sink,
        tqdm(desc="tokenizing", unit=" lines", mininterval=0.5) as progress,
    ):
        for batch in ordered_map(encode, _batches(files), workers):
            for symbols in batch:
                if symbols:
                    count["documents"] += not in_document
                    count["lines"] += 1
                    count["tokens"] += len(symbols)
                    count["unknown"] += symbols.count(UNKNOWN)
                    count["broken"] += len(symbols) > LONGEST_LINE
                for start in range(0, len(symbols), LONGEST_LINE):
                    sink.write(" ".join(symbols[start : start + LONGEST_LINE]) + "\n")
                if not symbols:
                    sink.write("\n")
                in_document = bool(symbols)
            progress.update(len(batch))
    return count


class _BatchEncoder:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __call__(self, lines: list[str]) -> list[list[str]]:
        return [(self._tokenizer.tokenize(line) or [UNKNOWN]) if line else [] for line in lines]


def _batches(files: Iterable[str | Path]) -> Iterator[list[str]]:
    """Lines without surrounding white space, about 256 K characters at a time; a blank one between files."""
    batch: list[str] = []
    size = 0
    for number, file in enumerate(map(Path, files)):
        if number:
            batch.append("")
        empty = True
        with open_text(file) as lines:
            for line in map(str.strip, lines):
                empty = empty and not line
                batch.append(line)
                size += len(line) + 1
                if size >= _BATCH:
                    yield batch
                    batch, size = [], 0
        if empty:
            raise UserError("no text in this file", where=str(file), remedy="leave the file out")
    yield batch
