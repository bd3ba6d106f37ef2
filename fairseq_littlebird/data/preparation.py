"""Questions about documents become a prepared folder; ``prepared.py`` describes its files."""

from __future__ import annotations

import json
import shutil
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder
from tqdm import tqdm

from fairseq_littlebird.data.answer_lengths import AnswerLengths, reach_line
from fairseq_littlebird.data.dictionary import read_dictionary
from fairseq_littlebird.data.encoded_document import DocumentEncoder, EncodedDocument, EncodedQuestion, cut
from fairseq_littlebird.data.prepared import PARTS, SPLITS, VERSION
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.questions.squad import SQUAD
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.output import check_folder, whole_folder
from fairseq_littlebird.text.example import NULL_TYPE, Answer, QAExample
from fairseq_littlebird.text.readers import DATA_SETS, QuestionFile, open_questions
from fairseq_littlebird.text.tokenizers import FILES, Tokenizer, dictionary_text
from fairseq_littlebird.text.window import NOT_CONTEXT, SYMBOLS, holds
from fairseq_littlebird.text.workers import ordered_map

SMALLEST_WINDOW = 16


def prepare_questions(
    dataset: str,
    files: Mapping[str, Sequence[str | Path]],
    tokenizer: Tokenizer,
    dictionary: str | Path,
    destination: str | Path,
    max_tokens: int = 512,
    stride: int = 256,
    join_articles: bool = False,
    workers: int = 1,
    overwrite: bool = False,
    max_answer_length: int | None = None,
    skip_bad: bool = False,
) -> dict[str, dict[str, Any]]:
    """Writes a prepared folder; the same one for any number of workers.

    Args:
        dataset: a key of ``text.readers.DATA_SETS``, or ``text.readers.AUTO``.
        files: split -> its files; ``-`` is standard input.
        tokenizer: its symbols are the dictionary's.
        dictionary: dict.txt; ``[QUESTION]`` is appended to the copy where it lacks it.
        destination: the folder.
        max_tokens: the most tokens in a window.
        stride: context tokens from one window's start to the next one's. A question that leaves less room
            than this gets half its room as stride.
        join_articles: one document an article instead of one a paragraph.
        workers: processes that tokenize; 0 or 1 for none.
        overwrite: whether to replace a prepared folder.
        max_answer_length: tokens of an answer that a model of this folder predicts; None measures training answers.
        skip_bad: whether bad records are left out, and told in the summary and the report; otherwise they are errors.

    Returns:
        split -> its summary (see :func:`summary_lines`).

    Raises:
        UserError: bad input, named by file and record; the destination is left as it was.
    """
    paths = {split: [Path(file) for file in names] for split, names in files.items() if names}
    if not paths:
        raise UserError("no input files", remedy="give --train, --valid or --test files")
    if max_tokens < SMALLEST_WINDOW:
        raise UserError(f"--max-tokens {max_tokens}", remedy=f"give at least {SMALLEST_WINDOW}")
    if not 1 <= stride < max_tokens - NOT_CONTEXT:
        raise UserError(
            f"--stride {stride} would skip tokens between windows of --max-tokens {max_tokens}",
            remedy=f"choose a stride between 1 and {max_tokens - NOT_CONTEXT - 1}",
        )
    check_folder(destination, _names(), overwrite)
    symbols = read_dictionary(Path(dictionary))
    check_match(symbols, tokenizer, Path(dictionary))
    summaries: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        # the first file says what an unnamed data set is; it may be a pipe, which is opened once
        first = stack.enter_context(open_questions(dataset, next(iter(paths.values()))[0], join_articles))
        dataset = first.dataset
        kinds = DATA_SETS[dataset].answer_types
        encode = DocumentEncoder(tokenizer, symbols.indices, symbols.unk(), kinds, max_tokens)
        lengths = {split: AnswerLengths(DATA_SETS[dataset]) for split in paths}
        folder = stack.enter_context(whole_folder(destination, _names(), overwrite))
        text = dictionary_text(tokenizer, Path(dictionary))
        (folder / "dict.txt").write_text(text, encoding="utf-8")
        for name, file in tokenizer.files.items():
            shutil.copyfile(file, folder / name)
        report = stack.enter_context((folder / "report.jsonl").open("w", encoding="utf-8"))
        for split, names in paths.items():
            log = ReadingLog(skip_bad, "--skip-bad")
            examples = _read_split(_opened(dataset, names, join_articles, first), split, join_articles, log)
            with _SplitWriter(folder, split, symbols.unk(), max_tokens, stride, report, lengths[split]) as writer:
                progress = tqdm(desc=split, unit=" questions", mininterval=0.5)
                with progress:
                    for document in ordered_map(encode, _by_document(examples), workers):
                        writer.add(document)
                        progress.set_postfix_str(f"{log.characters / 1e6:,.1f} M characters", refresh=False)
                        progress.update(len(document.questions))
                summaries[split] = writer.summary(dataset, log)
            if not summaries[split]["kept"]:
                raise UserError(
                    f"no example of the {split} split is left: {_reasons(summaries[split]['dropped'])}",
                    where=", ".join(map(str, names)),
                    remedy="check the files and --max-tokens",
                )
        if "train" in lengths:
            max_answer_length = max_answer_length or lengths["train"].limit()
        for split, summary in summaries.items():
            summary |= lengths[split].summary(max_answer_length or DATA_SETS[dataset].longest)
        settings = {
            "version": VERSION,
            "dataset": dataset,
            "tokenizer": {"kind": tokenizer.kind, "files": sorted(tokenizer.files)},
            "max_tokens": max_tokens,
            "stride": stride,
            "join_articles": join_articles,
            "max_answer_length": max_answer_length,
            "answer_types": kinds,
            "symbols": {symbol: symbols.index(symbol) for symbol in SYMBOLS},
            "splits": summaries,
        }
        text = json.dumps(settings, indent=1, ensure_ascii=False)
        (folder / "prepared.json").write_text(text + "\n", encoding="utf-8")
    return summaries


def summary_lines(split: str, summary: Mapping[str, Any]) -> list[str]:
    """What :func:`prepare_questions` counted, for people to read."""
    lines = [
        f"{split}: {summary['read']:,} questions on {summary['documents']:,} documents read, "
        f"{summary['kept']:,} kept ({_answered(summary)}), "
        f"{sum(summary['dropped'].values()):,} dropped{_reasons(summary['dropped'], ': ')}",
        f"{split}: {summary['windows']:,} windows; {summary['cut']:,} questions have several"
        + (f", {summary['short_stride']:,} a shorter stride" if summary["short_stride"] else "")
        + f"; {summary['answered_windows']:,} windows hold an answer",
        f"{split}: {summary['answers']:,} answers in place, {summary['repaired']:,} of them repaired "
        f"({summary['nearest']:,} to the nearest of several places) and {summary['snapped']:,} grown to whole tokens; "
        f"{summary['lost']:,} not found; "
        f"{summary['unknown_share']:.3%} unknown tokens",
    ]
    if summary["untrainable"]:
        lines.append(
            f"{split}: kept for scoring only: {sum(summary['untrainable'].values()):,}"
            + _reasons(summary["untrainable"], ": ")
        )
    if summary["formats"] not in ([], [SQUAD.name]):
        lines.insert(0, f"{split}: read as {', '.join(summary['formats'])}")
    if summary["skipped"]:
        lines.append(f"{split}: {summary['skipped']:,} bad records left out, named in report.jsonl")
    if summary["notes"]:
        lines.append(f"{split}: read leniently: {_reasons({f'x {what}': n for what, n in summary['notes'].items()})}")
    if summary["unreachable"]:
        lines.append(f"{split}: {reach_line(summary)}")
    return lines


def _answered(summary: Mapping[str, Any]) -> str:
    unanswerable = f"{summary['unanswerable']:,} unanswerable"
    return unanswerable + (f", {summary['unlabelled']:,} without answers to score" if summary["unlabelled"] else "")


def _reasons(counts: Mapping[str, int], lead: str = "") -> str:
    return lead + ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) if counts else ""


def _names() -> list[str]:
    parts = [f"{split}.{part}.{end}" for split in SPLITS for part in PARTS for end in ("bin", "idx")]
    return ["prepared.json", "report.jsonl", *FILES, *parts]


def check_match(dictionary: Dictionary, tokenizer: Tokenizer, path: Path) -> None:
    symbols = tokenizer.symbols()
    held = sum(symbol in dictionary for symbol in symbols)
    if held * 2 < len(symbols):
        raise UserError(
            f"this dictionary holds only {held:,} of the tokenizer's {len(symbols):,} symbols",
            where=str(path),
            remedy="give the dict.txt that belongs to the tokenizer",
        )


def _opened(dataset: str, files: Iterable[Path], join_articles: bool, first: QuestionFile) -> Iterator[QuestionFile]:
    """The files of a split, each open until the next one is asked for."""
    for file in files:
        if file == first.path and not first.used:
            yield first
            continue
        with open_questions(dataset, file, join_articles) as opened:
            yield opened


def _read_split(files: Iterable[QuestionFile], split: str, join_articles: bool, log: ReadingLog) -> Iterator[QAExample]:
    """The files' examples one after the other; an id that comes twice or a file without one is an error."""
    seen: set[str] = set()
    labelled: bool | None = None
    for file in files:
        before = len(seen)
        for example in file.read(join_articles, log):
            where = f"{file.path}, question {example.id}"
            if example.id in seen:
                raise UserError(
                    f"the id {example.id!r} comes twice in this split",
                    where=str(file.path),
                    remedy="make the ids of a split distinct",
                )
            with log.record():
                if not example.labelled and (split != "test" or labelled):
                    other = "" if split != "test" else ", unlike others in this split"
                    remedy = "give its answers, an empty list if there are none"
                    raise UserError(f"nothing says what its answer is{other}", where, remedy)
                if labelled is False and example.labelled:
                    raise UserError(
                        "it has answers, unlike others in this split", where, "give all or none their answers"
                    )
                labelled = example.labelled
                seen.add(example.id)
                yield example
        if len(seen) == before:
            left = f"; {len(log.skipped):,} bad ones left out" if log.skipped else ""
            raise UserError(f"no question in this file{left}", where=str(file.path), remedy="leave the file out")


def _by_document(examples: Iterable[QAExample]) -> Iterator[list[QAExample]]:
    group: list[QAExample] = []
    for example in examples:
        if group and example.document is not group[0].document:
            yield group
            group = []
        group.append(example)
    if group:
        yield group


_COUNTS = (
    "documents",
    "read",
    "kept",
    "unanswerable",
    "unlabelled",
    "cut",
    "short_stride",
    "windows",
    "answered_windows",
    "answers",
    "snapped",
    "repaired",
    "nearest",
    "lost",
    "tokens",
)


class _SplitWriter:
    """Cuts windows and appends them to the split's files; a context manager that closes them."""

    def __init__(
        self, folder: Path, split: str, unknown: int, max_tokens: int, stride: int, report: Any, lengths: AnswerLengths
    ) -> None:
        self._split = split
        self._stride = stride
        self._max_tokens = max_tokens
        self._report = report
        self._lengths = lengths
        self._unknown = unknown
        self._count: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._untrainable: Counter[str] = Counter()
        self._builders = {}
        self._paths = {name: folder / f"{split}.{name}" for name in PARTS}
        for name, dtype in PARTS.items():
            builder = MMapIndexedDatasetBuilder(f"{self._paths[name]}.bin", dtype=dtype)
            builder._sizes = array("i")  # a list would hold a Python integer an item
            self._builders[name] = builder

    def __enter__(self) -> _SplitWriter:
        return self

    def __exit__(self, *error: object) -> None:
        with ExitStack() as stack:
            for name, builder in self._builders.items():
                stack.callback(builder.finalize, f"{self._paths[name]}.idx")

    def add(self, document: EncodedDocument) -> None:
        self._count["documents"] += 1
        self._count["tokens"] += len(document.tokens)
        self._count["unknown"] += int((document.tokens == self._unknown).sum())
        written = False
        for question in document.questions:
            self._count["read"] += 1
            for answer, place in question.repaired:
                what = "answer moved to its text" if place.certain else "answer moved to the nearest place of its text"
                self._tell(question, what, answer, repaired=place.start)
                self._count["nearest"] += not place.certain
            for answer in question.lost:
                self._tell(question, "answer not found", answer)
            self._count["answers"] += len(question.answers)
            self._count["repaired"] += len(question.repaired)
            self._count["lost"] += len(question.lost)
            self._count["snapped"] += question.snapped
            pieces, stride_cut = cut(len(document.tokens), len(question.tokens), self._max_tokens, self._stride)
            answered = np.any(holds(pieces, question.answered_by), axis=1)
            reason = self._fault(document, question, answered)
            if reason and self._split == "train":
                self._dropped[reason] += 1
                self._tell(question, f"dropped: {reason}")
                continue
            if reason:
                self._untrainable[reason] += 1
            if not written:
                self._add("documents", np.frombuffer(document.text.encode(), np.uint8))
                self._add("tokens", document.tokens)
                self._add("offsets", document.offsets.ravel())
                self._count["documents_written"] += 1
                written = True
            self._count["short_stride"] += stride_cut
            self._count["answered_windows"] += int(answered.sum())
            self._lengths.add(question.example, question.spans, pieces, document.offsets)
            self._write(question, pieces)

    def _fault(self, document: EncodedDocument, question: EncodedQuestion, answered: np.ndarray) -> str:
        """Why an example, of whose windows ``answered`` hold an answer, cannot be trained on, or nothing."""
        if not len(document.tokens):
            return "empty context"
        if not question.example.question.strip():
            return "empty question"
        if not len(answered):
            return f"question leaves less than {max(1, self._max_tokens // 8)} tokens of context"
        if question.example.answers and not question.answers:
            return "answer not found"
        if question.answered_by.size and not answered.any():
            return "answer in no window"
        return ""

    def _write(self, question: EncodedQuestion, pieces: np.ndarray) -> None:
        example = question.example
        document = self._count["documents_written"] - 1
        answers = question.answers
        if self._split != "train":
            answers = answers + [Answer(answer.text, -1) for answer in question.lost]
        record = {
            "id": example.id,
            "question": example.question,
            "title": example.title,
            "document": document,
            "answers": [{"text": answer.text, "start": answer.start} for answer in answers],
            "segments": [segment.name for segment in example.segments],
            "answer_type": example.answer_type,
        }
        self._add("examples", np.frombuffer(json.dumps(record, ensure_ascii=False).encode(), np.uint8))
        self._add("questions", question.tokens)
        self._add("spans", np.array([document, *question.spans.ravel()], np.int32))
        self._add("segments", np.array([question.answer_type, *question.segments.ravel()], np.int32))
        for start, stop in pieces.tolist():
            self._add("windows", np.array([self._count["kept"], start, stop], np.int32))
        self._count["windows"] += len(pieces)
        self._count["kept"] += 1
        self._count["unlabelled"] += not example.labelled
        self._count["unanswerable"] += (
            example.labelled and not example.answers and example.answer_type in ("", NULL_TYPE)
        )
        self._count["cut"] += len(pieces) > 1

    def _add(self, name: str, items: np.ndarray) -> None:
        self._builders[name].add_item(torch.from_numpy(items.copy() if not items.flags.writeable else items))

    def _tell(self, question: EncodedQuestion, what: str, answer: Answer | None = None, **more: int) -> None:
        record: dict[str, Any] = {"split": self._split, "id": question.example.id, "what": what}
        if answer is not None:
            record |= {"answer": answer.text, "start": answer.start} | more
        self._report_line(record)

    def _report_line(self, record: Mapping[str, Any]) -> None:
        self._report.write(json.dumps(record, ensure_ascii=False) + "\n")

    def summary(self, dataset: str, log: ReadingLog) -> dict[str, Any]:
        """The counts; what the log noticed goes into the report as well."""
        for what, note in log.notes.items():
            self._report_line({"split": self._split, "what": what, "where": note.where, "count": note.count})
        for error in log.skipped:
            self._report_line({"split": self._split, "what": f"bad record left out: {error}"})
        return {name: self._count[name] for name in _COUNTS} | {
            "dropped": dict(self._dropped),
            "untrainable": dict(self._untrainable),
            "unknown_share": self._count["unknown"] / max(1, self._count["tokens"]),
            "skipped": len(log.skipped),
            "notes": {what: note.count for what, note in log.notes.items()},
            "dataset": dataset,
            "formats": sorted(set(log.formats.values())),
        }
