"""Documents and summaries become a prepared folder; ``summarization_metadata.py`` describes its files."""

from __future__ import annotations

import codecs
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from fairseq.data import Dictionary
from tqdm import tqdm

from fairseq_littlebird.data.dictionary import read_dictionary
from fairseq_littlebird.data.preparation import SMALLEST_WINDOW, check_match
from fairseq_littlebird.data.prepared import SPLITS
from fairseq_littlebird.data.summarization_metadata import DATASET, NAMES, VERSION
from fairseq_littlebird.data.summarization_writer import SummarizationWriter
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.summaries import Summarized, read_parallel, read_summaries
from fairseq_littlebird.inputs import check_given_once
from fairseq_littlebird.output import check_folder, whole_folder
from fairseq_littlebird.text.tokenizers import Tokenizer, without_surrogates
from fairseq_littlebird.text.workers import ordered_map

COUNTS = (
    *("documents", "document_tokens", "longest_document", "documents_cut", "document_tokens_lost"),
    *("summary_tokens", "longest_summary", "summaries_cut", "summary_tokens_lost", "unknown"),
)


def prepare_summaries(
    files: Mapping[str, Sequence[str | Path]],
    tokenizer: Tokenizer,
    dictionary: str | Path,
    destination: str | Path,
    max_tokens: int | None = None,
    max_summary_tokens: int | None = None,
    parallel: bool = False,
    skip_empty: bool = False,
    workers: int = 1,
    overwrite: bool = False,
) -> dict[str, dict[str, Any]]:
    """Writes a folder of documents and summaries; the same one for any number of workers.

    Args:
        files: split -> its files, see ``formats.summaries``; ``-`` is standard input.
        tokenizer: its symbols are the dictionary's.
        dictionary: dict.txt, copied as it is.
        destination: the folder.
        max_tokens: maximum number of tokens in a document, ``<s>`` and ``</s>`` included; None cuts nothing.
        max_summary_tokens: maximum number of tokens in a summary, ``</s>`` included; None cuts nothing.
        parallel: a split's files are text, documents and summaries in turn, with one of them a line.
        skip_empty: leave out documents and summaries without a token, and count them; otherwise they are errors.
        workers: processes that tokenize; 0 or 1 for none.
        overwrite: whether to replace a prepared folder.
    Returns:
        split -> its summary (see :func:`summary_lines`).
    Raises:
        UserError: bad input, named by file and record; the destination is left as it was.
    """
    paths = {split: [Path(file) for file in files[split]] for split in SPLITS if files.get(split)}
    if not paths:
        raise UserError("no input files", remedy="give --train, --valid or --test files")
    check_given_once(chain(*paths.values()))
    for option, most, least in (
        ("--max-tokens", max_tokens, SMALLEST_WINDOW),
        ("--max-summary-tokens", max_summary_tokens, 2),
    ):
        if most is not None and most < least:
            raise UserError(f"{option} {most}", remedy=f"give at least {least}")
    check_folder(destination, NAMES, overwrite)
    symbols = read_dictionary(Path(dictionary))
    check_match(symbols, tokenizer, Path(dictionary))
    encode = _Encoder(tokenizer, symbols, max_tokens, max_summary_tokens)
    summaries = {}
    with whole_folder(destination, NAMES, overwrite) as folder:
        (folder / "dict.txt").write_bytes(Path(dictionary).read_bytes().removeprefix(codecs.BOM_UTF8))
        for name, file in tokenizer.files.items():
            shutil.copyfile(file, folder / name)
        for split, names in paths.items():
            items = ordered_map(encode, _documents(split, names, parallel), workers)
            summaries[split] = _write_split(folder, split, items, ReadingLog(skip_empty, "--skip-empty"))
        settings = {
            "version": VERSION,
            "dataset": DATASET,
            "tokenizer": {"kind": tokenizer.kind, "files": sorted(tokenizer.files)},
            "max_tokens": max_tokens,
            "max_summary_tokens": max_summary_tokens,
            "splits": summaries,
        }
        text = json.dumps(settings, indent=1, ensure_ascii=False)
        (folder / "prepared.json").write_text(text + "\n", encoding="utf-8")
    return summaries


def summary_lines(split: str, summary: Mapping[str, Any]) -> list[str]:
    """What :func:`prepare_summaries` counted, for people to read."""
    s = summary
    lines = [
        f"{split}: {s['documents']:,} documents, {s['document_tokens']:,} tokens, {s['longest_document']:,} in the "
        f"longest; {s['documents_cut']:,} cut, which lost {s['document_tokens_lost']:,} tokens; "
        f"{s['unknown'] / max(1, s['document_tokens'] + s['summary_tokens']):.3%} unknown tokens"
    ]
    if summary["summarized"]:
        lines.append(
            f"{split}: summaries of {s['summary_tokens']:,} tokens, {s['longest_summary']:,} in the longest; "
            f"{s['summaries_cut']:,} cut, which lost {s['summary_tokens_lost']:,} tokens"
        )
    else:
        lines.append(f"{split}: without summaries")
    if summary["skipped"]:
        lines.append(f"{split}: {len(summary['skipped']):,} empty ones left out, the first: {summary['skipped'][0]}")
    return lines


class _Item(NamedTuple):
    """A document and its summary as token ids; and their part of the counts."""

    record: Summarized
    text: str
    document: list[int]
    summary: list[int] | None
    counts: dict[str, int]


class _Encoder:
    """Tokenizes a document and its summary and cuts them; runs in the worker processes."""

    def __init__(
        self, tokenizer: Tokenizer, symbols: Dictionary, max_tokens: int | None, max_summary_tokens: int | None
    ) -> None:
        self._tokenizer = tokenizer
        self._indices, self._unknown = symbols.indices, symbols.unk()
        self._bos, self._eos = symbols.bos(), symbols.eos()
        self._max_tokens, self._max_summary_tokens = max_tokens, max_summary_tokens

    def __call__(self, record: Summarized) -> _Item:
        text = " ".join(record.document.split())  # lines and pages are layout
        document = self._encode(text)
        summary = None if record.summary is None else self._encode(" ".join(record.summary.split()))
        most = len(document) if self._max_tokens is None else self._max_tokens - 2
        kept = document[:most]
        counts = {
            "documents": 1,
            "document_tokens": len(kept) + 2,
            "documents_cut": int(len(kept) < len(document)),
            "document_tokens_lost": len(document) - len(kept),
            "unknown": kept.count(self._unknown),
        }
        if summary is None:
            return _Item(record, text, [self._bos, *kept, self._eos] if kept else [], None, counts)
        most = len(summary) if self._max_summary_tokens is None else self._max_summary_tokens - 1
        short = summary[:most]
        counts |= {
            "summary_tokens": len(short) + 1,
            "summaries_cut": int(len(short) < len(summary)),
            "summary_tokens_lost": len(summary) - len(short),
            "unknown": counts["unknown"] + short.count(self._unknown),
        }
        return _Item(
            record, text, [self._bos, *kept, self._eos] if kept else [], [*short, self._eos] if short else [], counts
        )

    def _encode(self, text: str) -> list[int]:
        return [self._indices.get(symbol, self._unknown) for symbol in self._tokenizer.tokenize(text)]


def _write_split(folder: Path, split: str, items: Iterator[_Item], log: ReadingLog) -> dict[str, Any]:
    """Writes the data sets of a split, and returns what is counted of it."""
    count: Counter[str] = Counter()
    first = next(items)
    summarized = first.summary is not None
    with (
        SummarizationWriter(folder, split, summarized) as writer,
        tqdm(desc=split, unit=" documents", mininterval=0.5) as progress,
    ):
        for item in chain([first], items):
            progress.update()
            empty = "document" if not item.document else "summary" if item.summary == [] else ""
            with log.record():
                if empty:
                    raise UserError(f"an empty {empty} (id {item.record.id})", item.record.where, "give its text")
            if empty:
                continue
            writer.add(item.record.id, item.text, item.document, item.summary, item.record.summary)
            count.update(item.counts)
            count["longest_document"] = max(count["longest_document"], len(item.document))
            count["longest_summary"] = max(count["longest_summary"], len(item.summary or []))
    if not count["documents"]:
        raise UserError(f"no document of the {split} split is left", log.skipped[0], "check the files")
    return {name: count[name] for name in COUNTS} | {"summarized": summarized, "skipped": log.skipped}


def _documents(split: str, files: Sequence[Path], parallel: bool) -> Iterator[Summarized]:
    """The documents of a split's files, with ids that come once."""
    if parallel and len(files) % 2:
        what = f"--{split} names {len(files)} files"
        raise UserError(what, str(files[-1]), "with --parallel give pairs: a file of documents, a file of summaries")
    pairs = zip(files[::2], files[1::2], strict=True) if parallel else ((file, None) for file in files)
    seen: set[str] = set()
    summarized: bool | None = None
    for file, other in pairs:
        before = len(seen)
        for record in read_summaries(file) if other is None else read_parallel(file, other):
            if record.id in seen:
                raise UserError(
                    f"the id {record.id!r} comes twice in this split", record.where, "make the ids distinct"
                )
            seen.add(record.id)
            if record.summary is None and split != "test":
                raise UserError("no summary", record.where, 'give "summary", a text or a list of sentences')
            if summarized not in (None, record.summary is not None):
                raise UserError(
                    "a summary here, none there", record.where, "give all documents of a split summaries or none"
                )
            summarized = record.summary is not None
            yield record._replace(
                id=without_surrogates(record.id),
                document=without_surrogates(record.document),
                summary=None if record.summary is None else without_surrogates(record.summary),
            )
        if len(seen) == before:
            raise UserError("no document in it", str(file), "leave it out")
