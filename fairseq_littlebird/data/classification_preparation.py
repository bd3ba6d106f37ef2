"""Labelled texts become what fairseq's sentence_prediction reads; see ``classification_metadata.py`` for the folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from fairseq.data import Dictionary
from tqdm import tqdm

from fairseq_littlebird.data.classification_metadata import DATASET, TEXT_SPLITS, VERSION, ClassificationMetadata
from fairseq_littlebird.data.classification_writer import PARTS, SplitWriter, begin_folder
from fairseq_littlebird.data.dictionary import read_dictionary
from fairseq_littlebird.data.label_survey import LabelSurvey, labelled_texts
from fairseq_littlebird.data.preparation import SMALLEST_WINDOW, check_match
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.glue import GlueTask
from fairseq_littlebird.formats.opening import kept
from fairseq_littlebird.formats.problem_type import MULTI_LABEL, REGRESSION
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.texts import AS_THEY_COME, Text, TextOptions
from fairseq_littlebird.inputs import check_given_once
from fairseq_littlebird.output import check_folder, whole_folder
from fairseq_littlebird.text.striding import cut_longest
from fairseq_littlebird.text.tokenizers import Tokenizer
from fairseq_littlebird.text.workers import ordered_map

NAMES = (*PARTS, "prepared.json", *(f"{split}.gold.json" for split in TEXT_SPLITS))
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
    options: TextOptions = AS_THEY_COME,
    glue: GlueTask | None = None,
    score_range: tuple[float, float] | None = None,
    genome: Mapping[str, Any] | None = None,
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
        options: what the files' columns are, and whether texts have scores.
        glue: the files are of this task.
        score_range: of regression, lowest and highest score; None for those of the training split.
        genome: of DNA, where it lies, see ``text.dna.places.Surroundings``; None or empty for none.

    Returns:
        split -> its summary (see :func:`summary_lines`).

    Raises:
        UserError: bad input, named by file and record; the destination is left as it was.
    """
    paths = {split: [Path(file) for file in files[split]] for split in TEXT_SPLITS if files.get(split)}
    if not paths:
        raise UserError("no input files", remedy="give --train, --valid or --test files")
    check_given_once(chain(*paths.values()))
    if max_tokens is not None and max_tokens < SMALLEST_WINDOW:
        raise UserError(f"--max-tokens {max_tokens}", remedy=f"give at least {SMALLEST_WINDOW}")
    check_folder(destination, NAMES, overwrite)
    symbols = read_dictionary(Path(dictionary))
    check_match(symbols, tokenizer, Path(dictionary))
    with ExitStack() as stack:
        paths = {split: stack.enter_context(kept(names)) for split, names in paths.items()}
        survey = LabelSurvey(labels, skip_bad, options, glue, score_range)
        for split, names in paths.items():
            survey.read(split, names)
        classes, summaries = survey.metadata(), {}
        encode = TextEncoder(tokenizer, symbols, max_tokens)
        numbers = {label: number for number, label in enumerate(classes.labels)}
        with whole_folder(destination, NAMES, overwrite) as folder:
            parts = [part for part in PARTS if part != "input1" or survey.pairs]
            begin_folder(folder, parts, tokenizer, Path(dictionary), len(classes.labels))
            numbered = classes.problem_type != REGRESSION
            for split, names in paths.items():
                labelled = split not in classes.unlabelled
                writer = SplitWriter(
                    folder, split, [part for part in parts if labelled and numbered or part != "label"]
                )
                with writer, _Gold(folder / f"{split}.gold.json", labelled) as gold:
                    count: Counter[str] = Counter()
                    read = labelled_texts(names, ReadingLog(skip_bad), options, glue)
                    with tqdm(desc=split, unit=" texts", mininterval=0.5) as progress:
                        for item in ordered_map(encode, read, workers):
                            own = None if item.labels is None else [numbers[label] for label in item.labels]
                            writer.add(*item.tokens, id=item.id, label=own, score=_scaled(item.score, classes))
                            gold.add(item.id, _gold(item, classes))
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
                "problem_type": classes.problem_type,
                "labels": classes.labels,
                **({"score_range": classes.score_range} if classes.score_range else {}),
                **({"glue": classes.glue} if classes.glue else {}),
                **({"genome": genome} if genome else {}),
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
    if summary["labelled"] and summary["labels"]:
        ordered = Counter(summary["labels"]).most_common()
        told = ", ".join(f"{label} {count:,}" for label, count in ordered[:shown])
        more = f", and {len(ordered) - shown:,} more labels" if len(ordered) > shown else ""
        lines.append(f"{split}: {told}{more}")
    elif not summary["labelled"]:
        lines.append(f"{split}: without labels")
    if summary["skipped"]:
        lines.append(f"{split}: {len(summary['skipped']):,} bad records left out, the first: {summary['skipped'][0]}")
    if summary["notes"]:
        told = ", ".join(f"{count:,} x {what}" for what, count in summary["notes"].items())
        lines.append(f"{split}: read leniently: {told}")
    return lines


_COUNTS = ("texts", "tokens", "longest", "cut", "lost", "empty", "unknown")


class EncodedText(NamedTuple):
    """A text as token ids, one list or two; and its part of the summary."""

    id: str
    tokens: list[list[int]]
    labels: tuple[str, ...] | None
    score: float | None
    counts: dict[str, int]


class TextEncoder:
    """Tokenizes a text and cuts it; runs in the worker processes.

    Args:
        tokenizer: its symbols are the dictionary's.
        dictionary: the model's.
        max_tokens: of a text, ``<s>`` and ``</s>`` included; of a pair the longer text is cut first. None for any.
    """

    def __init__(self, tokenizer: Tokenizer, dictionary: Dictionary, max_tokens: int | None) -> None:
        self._tokenizer = tokenizer
        self._indices, self._unknown = dictionary.indices, dictionary.unk()
        self._max_tokens = max_tokens

    def __call__(self, text: Text) -> EncodedText:
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
        return EncodedText(text.id, tokens, text.labels, text.score, count)

    def _encode(self, text: str) -> list[int]:
        # lines and pages are layout; pretraining has no line breaks either
        symbols = self._tokenizer.tokenize(" ".join(text.split()))
        return [self._indices.get(symbol, self._unknown) for symbol in symbols]


class _Gold:
    """Writes ``{id: label}``, ``{id: [label, …]}`` or ``{id: score}`` item by item; no file where there are none."""

    def __init__(self, path: Path, wanted: bool) -> None:
        self._stream = path.open("w", encoding="utf-8", newline="\n") if wanted else None
        self._lead = "{"

    def __enter__(self) -> _Gold:
        return self

    def __exit__(self, *error: object) -> None:
        if self._stream is not None:
            with self._stream:
                self._stream.write("\n}\n")

    def add(self, identifier: str, value: Any) -> None:
        if self._stream is not None:
            key, text = (json.dumps(part, ensure_ascii=False) for part in (identifier, value))
            self._stream.write(f"{self._lead}\n {key}: {text}")
            self._lead = ","


def _gold(item: EncodedText, classes: ClassificationMetadata) -> Any:
    """What ``littlebird-evaluate`` compares with."""
    if item.labels is None:
        return item.score
    return list(item.labels) if classes.problem_type == MULTI_LABEL else item.labels[0]


def _scaled(score: float | None, classes: ClassificationMetadata) -> float | None:
    """A score as the model learns it: 0 and 1 are the ends of the range."""
    if score is None or classes.score_range is None:
        return None
    low, high = classes.score_range
    return (score - low) / (high - low)
