"""Labelled texts become what fairseq's sentence_prediction reads; see ``classification_metadata.py`` for the folder."""

from __future__ import annotations

import codecs
import json
import shutil
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder
from tqdm import tqdm

from fairseq_littlebird.data.classification_metadata import DATASET, VERSION, ClassificationMetadata, read_metadata
from fairseq_littlebird.data.dictionary import read_dictionary
from fairseq_littlebird.data.preparation import SMALLEST_WINDOW, check_match
from fairseq_littlebird.data.prepared import SPLITS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.opening import kept, open_text
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.texts import Text
from fairseq_littlebird.inputs import check_given_once
from fairseq_littlebird.output import check_folder, whole_folder
from fairseq_littlebird.text.labelled_texts import read_labelled
from fairseq_littlebird.text.striding import cut_longest
from fairseq_littlebird.text.tokenizers import Tokenizer
from fairseq_littlebird.text.workers import ordered_map

PARTS: dict[str, type] = {"input0": np.int32, "input1": np.int32, "label": np.int32, "id": np.uint8}
NAMES = (*PARTS, "prepared.json", *(f"{split}.gold.json" for split in SPLITS))
SPECIAL = 2
"""<s> and </s>; a second text has as many, </s> before and behind it."""


def prepare_texts(
    files: Mapping[str, Sequence[str | Path]],
    tokenizer: Tokenizer,
    dictionary: str | Path,
    destination: str | Path,
    labels: str | Path | None = None,
    max_tokens: int | None = None,
    workers: int = 1,
    overwrite: bool = False,
    skip_bad: bool = False,
) -> dict[str, dict[str, Any]]:
    """Writes a folder of labelled texts; the same one for any number of workers.

    Args:
        files: split -> its files and folders, see ``text.labelled_texts``; ``-`` is standard input.
        tokenizer: its symbols are the dictionary's.
        dictionary: dict.txt, copied as it is.
        destination: the folder.
        labels: a file with a label a line, in the order of their numbers, or a folder prepared before, whose labels
            these are. Without it they are the training split's, sorted; numbers as numbers.
        max_tokens: the most tokens of an item, ``<s>`` and ``</s>`` included; of a pair the longer text is cut first.
        workers: processes that tokenize; 0 or 1 for none.
        overwrite: whether to replace a prepared folder.
        skip_bad: whether bad records are left out and counted; otherwise they are errors.

    Returns:
        split -> its summary (see :func:`summary_lines`).

    Raises:
        UserError: bad input, named by file and record; the destination is left as it was.
    """
    paths = {split: [Path(file) for file in files[split]] for split in SPLITS if files.get(split)}
    if not paths:
        raise UserError("no input files", remedy="give --train, --valid or --test files")
    check_given_once(chain(*paths.values()))
    if max_tokens is not None and max_tokens < SMALLEST_WINDOW:
        raise UserError(f"--max-tokens {max_tokens}", remedy=f"give at least {SMALLEST_WINDOW}")
    check_folder(destination, NAMES, overwrite)
    words = read_dictionary(Path(dictionary))
    check_match(words, tokenizer, Path(dictionary))
    with ExitStack() as stack:
        paths = {split: stack.enter_context(kept(names)) for split, names in paths.items()}
        survey = _Survey(labels, skip_bad)
        for split, names in paths.items():
            survey.read(split, names)
        classes, summaries = survey.metadata(), {}
        encode = _Encoder(tokenizer, words, max_tokens)
        numbers = {label: number for number, label in enumerate(classes.labels)}
        with whole_folder(destination, NAMES, overwrite) as folder:
            parts = [part for part in PARTS if part != "input1" or survey.pairs]
            begin_folder(folder, parts, tokenizer, Path(dictionary), len(classes.labels))
            for split, names in paths.items():
                labelled = split not in classes.unlabelled
                writer = SplitWriter(folder, split, [part for part in parts if labelled or part != "label"])
                with writer, _Gold(folder / f"{split}.gold.json", labelled) as gold:
                    count: Counter[str] = Counter()
                    with tqdm(desc=split, unit=" texts", mininterval=0.5) as progress:
                        for item in ordered_map(encode, _texts(names, ReadingLog(skip_bad)), workers):
                            own = {} if item.labels is None else {"label": [numbers[label] for label in item.labels]}
                            writer.add(*item.tokens, id=item.id, **own)
                            gold.add(item, classes.multi_label)
                            count.update(item.counts)
                            count["longest"] = max(count["longest"], item.counts["tokens"])
                            progress.update()
                summaries[split] = {name: count[name] for name in _COUNTS} | {
                    "skipped": survey.logs[split].skipped,
                    "notes": {what: note.count for what, note in survey.logs[split].notes.items()},
                    "labelled": labelled,
                    "labels": {label: survey.count[split][label] for label in classes.labels} if labelled else {},
                }
            settings = {
                "version": VERSION,
                "dataset": DATASET,
                "tokenizer": {"kind": tokenizer.kind, "files": sorted(tokenizer.files)},
                "max_tokens": max_tokens,
                "multi_label": classes.multi_label,
                "labels": classes.labels,
                "splits": summaries,
            }
            text = json.dumps(settings, indent=1, ensure_ascii=False)
            (folder / "prepared.json").write_text(text + "\n", encoding="utf-8")
    return summaries


def summary_lines(split: str, summary: Mapping[str, Any], shown: int = 10) -> list[str]:
    """What :func:`prepare_texts` counted, for people to read; the ``shown`` most frequent labels by name."""
    tokens = summary["tokens"]
    lines = [
        f"{split}: {summary['texts']:,} texts, {tokens:,} tokens, {summary['longest']:,} in the longest; "
        f"{summary['cut']:,} cut, which lost {summary['lost']:,} tokens; {summary['empty']:,} without a token; "
        f"{summary['unknown'] / max(1, tokens):.3%} unknown tokens"
    ]
    if summary["labelled"]:
        ordered = Counter(summary["labels"]).most_common()
        told = ", ".join(f"{label} {count:,}" for label, count in ordered[:shown])
        more = f", and {len(ordered) - shown:,} more labels" if len(ordered) > shown else ""
        lines.append(f"{split}: {told}{more}")
    else:
        lines.append(f"{split}: without labels")
    if summary["skipped"]:
        lines.append(f"{split}: {len(summary['skipped']):,} bad records left out, the first: {summary['skipped'][0]}")
    if summary["notes"]:
        told = ", ".join(f"{count:,} x {what}" for what, count in summary["notes"].items())
        lines.append(f"{split}: read leniently: {told}")
    return lines


def begin_folder(folder: Path, parts: Iterable[str], tokenizer: Tokenizer, words: Path, classes: int) -> None:
    """Makes the folder of each part, with the words and the tokenizer's files, and as many label numbers."""
    for part in parts:
        (folder / part).mkdir()
    (folder / "input0" / "dict.txt").write_bytes(words.read_bytes().removeprefix(codecs.BOM_UTF8))
    for name, file in tokenizer.files.items():
        shutil.copyfile(file, folder / "input0" / name)
    label_numbers(classes).save(str(folder / "label" / "dict.txt"))


def label_numbers(classes: int) -> Dictionary:
    """The dictionary of labels: 0, 1, ….

    Names may hold anything, and some of fairseq's metrics want numbers.
    """
    dictionary = Dictionary()
    for number in range(classes):
        dictionary.add_symbol(str(number))
    return dictionary


class SplitWriter:
    """Appends texts to the data sets of a split, as fairseq-preprocess would write them.

    A context manager that closes them.

    Args:
        folder: see :func:`begin_folder`.
        split: the data sets' name.
        parts: which of ``PARTS`` there are.
    """

    def __init__(self, folder: Path, split: str, parts: Iterable[str]) -> None:
        # in every dictionary of fairseq the same
        special = Dictionary()
        self._eos, self._first = special.eos(), special.nspecial
        self._paths = {part: folder / part / split for part in parts}
        self._builders = {}
        for part, path in self._paths.items():
            builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=PARTS[part])
            builder._sizes = array("i")  # a list would hold a Python integer an item
            self._builders[part] = builder

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(self, *error: object) -> None:
        with ExitStack() as stack:
            for part, builder in self._builders.items():
                stack.callback(builder.finalize, f"{self._paths[part]}.idx")

    def add(
        self,
        text: Sequence[int],
        second: Sequence[int] | None = None,
        *,
        label: Sequence[int] | None = None,
        id: str | None = None,
    ) -> None:
        """Token ids without ``</s>``, label numbers from 0, and id; those that the split has, and no others."""
        items: dict[str, Sequence[int] | bytes] = {"input0": [*text, self._eos]}
        if second is not None:
            items["input1"] = [*second, self._eos]
        if label is not None:
            items["label"] = [*(number + self._first for number in label), self._eos]
        if id is not None:
            items["id"] = id.encode()
        if items.keys() != self._builders.keys():
            raise ValueError(f"{sorted(items)} for data sets of {sorted(self._builders)}")
        for part, item in items.items():
            self._builders[part].add_item(torch.tensor(list(item), dtype=torch.int32))


class _Survey:
    """What kind of data the files hold, found and checked before anything is tokenized.

    Args:
        source: see ``labels`` of :func:`prepare_texts`.
        skip_bad: see there.
    """

    def __init__(self, source: str | Path | None, skip_bad: bool) -> None:
        self._source = source
        self._skip_bad = skip_bad
        self.logs: dict[str, ReadingLog] = {}
        self._known: dict[str, None] | None = None  # in the order of their numbers
        self._several: bool | None = None
        self._pairs: bool | None = None
        self._unlabelled: set[str] = set()
        self.count: dict[str, Counter[str]] = {}
        if source is not None and Path(source).is_dir():
            metadata = read_metadata(source)
            if metadata is None:
                raise UserError("no prepared.json in it", str(source), "give a prepared folder, or a file of labels")
            self._known, self._several = dict.fromkeys(metadata.labels), metadata.multi_label
        elif source is not None:
            self._known = dict.fromkeys(_read_labels(Path(source)))

    @property
    def pairs(self) -> bool:
        return bool(self._pairs)

    def read(self, split: str, files: Sequence[Path]) -> None:
        """Checks a split; the training split comes first, as its labels are those of all."""
        count = self.count[split] = Counter()
        log = self.logs[split] = ReadingLog(self._skip_bad, "--skip-bad")
        seen: set[str] = set()
        labelled: bool | None = None
        for text in _texts(files, log):
            if text.id in seen:
                raise UserError(f"the id {text.id!r} comes twice in this split", text.where, "make the ids distinct")
            seen.add(text.id)
            self._check_pair(text)
            if text.labels is None and split != "test":
                raise UserError("no label", text.where, 'give "label", or "labels" with a list')
            if labelled not in (None, text.labels is not None):
                raise UserError("a label here, none there", text.where, "give all texts of a split labels or none")
            labelled = text.labels is not None
            if text.labels is not None:
                self._check_labels(text)
                count.update(text.labels)
        if not labelled:
            self._unlabelled.add(split)
        if self._known is None and split == "train":
            self._known = dict.fromkeys(sorted(count, key=_order))
        if self._known is None:
            raise UserError(
                "nothing says which labels there are",
                remedy="give --train, or the folder or file that has them with --labels",
            )
        if not self._known:
            raise UserError("no label in the training split", ", ".join(map(str, files)), "give some with --labels")

    def metadata(self) -> ClassificationMetadata:
        return ClassificationMetadata(tuple(self._known or ()), bool(self._several), frozenset(self._unlabelled))

    def _check_pair(self, text: Text) -> None:
        pair = text.second is not None
        if self._pairs not in (None, pair):
            raise UserError('"text2" here and none elsewhere, or the other way', text.where, "give only pairs or none")
        self._pairs = pair

    def _check_labels(self, text: Text) -> None:
        if text.several is not None and self._several not in (None, text.several):
            wanted = '"labels" with a list' if self._several else '"label"'
            raise UserError("one label here, lists of labels there", text.where, f"give {wanted} as elsewhere")
        self._several = self._several if text.several is None else text.several
        if self._known is None:
            return
        for label in text.labels or ():
            if label not in self._known:
                origin = f"not in {self._source}" if self._source else "unknown in training"
                remedy = "correct it, or name all labels with --labels"
                raise UserError(f"the label {label!r} is {origin}", text.where, remedy)


def _texts(files: Sequence[Path], log: ReadingLog) -> Iterator[Text]:
    for file in files:
        empty = True
        for text in read_labelled(file, log):
            empty = False
            yield text
        if empty:
            raise UserError("no text in it", str(file), "leave it out")


def _read_labels(path: Path) -> tuple[str, ...]:
    with open_text(path) as lines:
        labels = [line.strip() for line in lines if line.strip()]
    if not labels or len(set(labels)) < len(labels):
        twice = [label for label, count in Counter(labels).items() if count > 1]
        fault = f"the label {twice[0]!r} comes twice" if twice else "no label in it"
        raise UserError(fault, str(path), "give each label once, one a line")
    return tuple(labels)


def _order(label: str) -> tuple[bool, int, str]:
    number = label.isascii() and label.isdecimal()
    return not number, int(label) if number else 0, label


_COUNTS = ("texts", "tokens", "longest", "cut", "lost", "empty", "unknown")


class _Item(NamedTuple):
    """A text as token ids, one list or two; and its part of the summary."""

    id: str
    tokens: list[list[int]]
    labels: tuple[str, ...] | None
    counts: dict[str, int]


class _Encoder:
    """Tokenizes a text and cuts it; runs in the worker processes."""

    def __init__(self, tokenizer: Tokenizer, words: Dictionary, max_tokens: int | None) -> None:
        self._tokenizer = tokenizer
        self._indices, self._unknown = words.indices, words.unk()
        self._max_tokens = max_tokens

    def __call__(self, text: Text) -> _Item:
        parts = [self._encode(part) for part in (text.text, text.second) if part is not None]
        lengths, special = [len(part) for part in parts], SPECIAL * len(parts)
        kept = lengths if self._max_tokens is None else cut_longest(lengths, self._max_tokens - special)
        tokens = [part[:length] for part, length in zip(parts, kept, strict=True)]
        lost = sum(lengths) - sum(kept)
        count = {
            "texts": 1,
            "tokens": sum(kept) + special,
            "cut": int(lost > 0),
            "lost": lost,
            "empty": int(not all(lengths)),
            "unknown": sum(part.count(self._unknown) for part in tokens),
        }
        return _Item(text.id, tokens, text.labels, count)

    def _encode(self, text: str) -> list[int]:
        # lines and pages are layout; pretraining has no line breaks either
        symbols = self._tokenizer.tokenize(" ".join(text.split()))
        return [self._indices.get(symbol, self._unknown) for symbol in symbols]


class _Gold:
    """Writes ``{id: label}`` or ``{id: [label, …]}`` item by item; no file where there are no labels."""

    def __init__(self, path: Path, wanted: bool) -> None:
        self._stream = path.open("w", encoding="utf-8", newline="\n") if wanted else None
        self._lead = "{"

    def __enter__(self) -> _Gold:
        return self

    def __exit__(self, *error: object) -> None:
        if self._stream is not None:
            with self._stream:
                self._stream.write("\n}\n")

    def add(self, item: _Item, several: bool) -> None:
        if self._stream is not None and item.labels is not None:
            labels = list(item.labels) if several else item.labels[0]
            key, value = (json.dumps(part, ensure_ascii=False) for part in (item.id, labels))
            self._stream.write(f"{self._lead}\n {key}: {value}")
            self._lead = ","
