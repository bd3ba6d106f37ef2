"""FASTA becomes a folder to pretrain on; ``dna_metadata.py`` describes its files."""

from __future__ import annotations

import codecs
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fairseq.data import Dictionary
from tqdm import tqdm

from fairseq_littlebird.data.dictionary import read_dictionary
from fairseq_littlebird.data.dna_metadata import DATASET, NAMES, PLACES, SPLITS, VERSION
from fairseq_littlebird.data.preparation import check_match
from fairseq_littlebird.data.streamed_items import StreamedItems
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.output import check_folder, whole_folder
from fairseq_littlebird.text.dna.documents import Cutting, Document, DocumentCutter
from fairseq_littlebird.text.dna.fasta import FastaReader
from fairseq_littlebird.text.dna.gaps import SHORTEST_GAP, without_gaps
from fairseq_littlebird.text.dna.splits import TRAIN, VALID, GenomeSplit
from fairseq_littlebird.text.dna.vocabulary import check_dna_tokenizer
from fairseq_littlebird.text.tokenizers import Tokenizer
from fairseq_littlebird.text.workers import ordered_map

LONGEST_SENTENCE = 60_000
"""Bases; fairseq holds the sizes of token blocks in 16 bits."""


def prepare_dna(
    fasta: str | Path,
    tokenizer: Tokenizer,
    dictionary: str | Path,
    destination: str | Path,
    *,
    cutting: Cutting,
    split: GenomeSplit | None = None,
    gap: int = SHORTEST_GAP,
    workers: int = 1,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes a folder of documents of DNA in one pass over the file; the same one for any number of workers.

    Memory does not grow with the file. The validation part is passed over once.

    Args:
        fasta: the genome, plain or compressed; ``-`` is standard input.
        tokenizer: of the letters A, C, G, T and N; its symbols are the dictionary's.
        dictionary: dict.txt, copied as it is.
        destination: the folder.
        cutting: how documents are cut.
        split: which bases are for validation; None for none.
        gap: runs of at least so many N are left out, and end documents.
        workers: processes that tokenize; 0 or 1 for none.
        overwrite: whether to replace a prepared folder.
    Returns:
        what was counted: see :func:`summary_lines`.
    Raises:
        UserError: bad input, named by file and line; the destination is left as it was.
    """
    check_folder(destination, NAMES, overwrite)
    symbols = read_dictionary(Path(dictionary))
    check_match(symbols, tokenizer, Path(dictionary))
    check_dna_tokenizer(tokenizer, next(iter(tokenizer.files.values()), dictionary))
    reader, began = FastaReader(fasta), time.perf_counter()
    genome = _Genome(reader, gap, split or GenomeSplit(), cutting)
    counts: dict[str, Counter[str]] = {name: Counter() for name in SPLITS}
    numbers: dict[str, int] = {}
    with whole_folder(destination, NAMES, overwrite) as folder, ExitStack() as stack:
        (folder / "dict.txt").write_bytes(Path(dictionary).read_bytes().removeprefix(codecs.BOM_UTF8))
        for name, file in tokenizer.files.items():
            shutil.copyfile(file, folder / name)
        writers: dict[str, _SplitWriter] = {}
        encode = _Encoder(tokenizer, symbols)
        progress = stack.enter_context(tqdm(desc="preparing", unit="bp", unit_scale=True, mininterval=0.5))
        for item in ordered_map(encode, genome, workers):
            if item.split not in writers:
                writers[item.split] = stack.enter_context(_SplitWriter(folder, item.split, symbols))
            number = numbers.setdefault(item.document.chromosome, len(numbers))
            writers[item.split].add(number, item)
            count = counts[item.split]
            count.update(
                documents=1,
                sentences=len(item.tokens),
                tokens=sum(map(len, item.tokens)),
                bases=sum(map(len, item.document.sentences)),
            )
            progress.update(reader.bases - progress.n)
        genome.split.check_all_there(str(fasta))
        for name, option in ((TRAIN, "fewer"), (VALID, "more")):
            if split is not None and name not in writers:
                what = f"no document for {'training' if name == TRAIN else 'validation'}"
                remedy = (
                    f"give {option} chromosomes or a {'smaller' if name == TRAIN else 'larger'} share to validation"
                )
                raise UserError(what, str(fasta), remedy)
        read = {"records": reader.records, "empty": reader.empty, "bases": reader.bases, "replaced": reader.replaced}
        settings = {
            "version": VERSION,
            "dataset": DATASET,
            "tokenizer": {"kind": tokenizer.kind, "files": sorted(tokenizer.files)},
            **asdict(cutting),
            "gap": gap,
            "chromosomes": list(numbers),
            "read": read,
            "splits": {name: dict(counts[name]) for name in SPLITS if counts[name]},
        }
        text = json.dumps(settings, indent=1, ensure_ascii=False)
        (folder / "prepared.json").write_text(text + "\n", encoding="utf-8")
    seconds = time.perf_counter() - began
    return {"read": read | {"bytes": reader.bytes, "seconds": seconds}, "splits": settings["splits"]}


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """What :func:`prepare_dna` counted, for people to read."""
    read = summary["read"]
    rate = read["bytes"] / 1e6 / max(read["seconds"], 1e-9)
    lines = [
        f"read {read['records']:,} records ({read['empty']:,} empty) of {read['bases']:,} bases in "
        f"{read['seconds']:.1f} s, {rate:.2f} MB of FASTA a second"
    ]
    if read["replaced"]:
        lines.append(f"{read['replaced']:,} letters that are no nucleotides became N")
    for split, count in summary["splits"].items():
        lines.append(
            f"{split}: {count['documents']:,} documents, {count['sentences']:,} sentences, {count['tokens']:,} tokens, "
            f"{count['bases']:,} bases, {count['bases'] / max(1, count['tokens']):.2f} base pairs a token"
        )
    return lines


class _Genome:
    """The documents of both splits, as they end."""

    def __init__(self, reader: FastaReader, gap: int, split: GenomeSplit, cutting: Cutting) -> None:
        self.split = split
        self._pieces = without_gaps(reader, gap)
        self._cutters = {TRAIN: DocumentCutter(cutting), VALID: DocumentCutter(replace(cutting, passes=1))}

    def __iter__(self) -> Iterator[tuple[str, Document]]:
        for split, piece in self.split(self._pieces):
            for document in self._cutters[split].add(piece):
                yield split, document
        for split, cutter in self._cutters.items():
            for document in cutter.end():
                yield split, document


class _Item(NamedTuple):
    """A document and the token ids of its sentences."""

    split: str
    document: Document
    tokens: list[np.ndarray]


class _Encoder:
    """Tokenizes a document; runs in the worker processes."""

    def __init__(self, tokenizer: Tokenizer, symbols: Dictionary) -> None:
        self._tokenizer, self._indices = tokenizer, symbols.indices

    def __call__(self, given: tuple[str, Document]) -> _Item:
        split, document = given
        tokens = [
            np.array([self._indices[symbol] for symbol in self._tokenizer.tokenize(sentence.decode("ascii"))], np.int32)
            for sentence in document.sentences
        ]
        return _Item(split, document, tokens)


class _SplitWriter:
    """Appends documents to the data sets of a split; a context manager that closes them."""

    def __init__(self, folder: Path, split: str, symbols: Dictionary) -> None:
        self._eos = symbols.eos()
        self._sentences = StreamedItems(folder / split, np.uint16 if len(symbols) < 1 << 16 else np.int32)
        self._places = StreamedItems(folder / f"{split}.{PLACES}", np.int64)

    def __enter__(self) -> _SplitWriter:
        self._stack = ExitStack()
        self._stack.enter_context(self._sentences)
        self._stack.enter_context(self._places)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(self, chromosome: int, item: _Item) -> None:
        document = item.document
        for tokens in item.tokens:
            self._sentences.add(np.append(tokens, self._eos))
        self._sentences.add(np.array([self._eos]))
        self._places.add(np.array([chromosome, document.start, document.strand, *map(len, document.sentences)]))
