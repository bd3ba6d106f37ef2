"""The prepared question answering folder: written once, then read lazily from memory-mapped files.

``DEST/prepared.json`` holds the settings and the summary, ``DEST/report.jsonl`` every repaired or dropped
answer and example; ``DEST/dict.txt`` and the tokenizer's files lie beside them. Per split there are five
memory-mapped fairseq data sets (``.bin`` and ``.idx``):

- ``documents``, uint8: the UTF-8 of each document, shared by its questions;
- ``examples``, uint8: JSON with id, question, title, document (index), answers (text, start) and windows
  ([first, stop) indices);
- ``windows``, int32: ``<s> [QUESTION] question </s> context </s>``;
- ``offsets``, int32: start and end character in the document of each context token of the window;
- ``spans``, int32: example index, index in the window of the first context token, then first and last token
  (inclusive, indices in the window) of each answer that lies wholly in the window.
"""

from __future__ import annotations

import json
import shutil
import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDataset, MMapIndexedDatasetBuilder
from tqdm import tqdm

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.output import whole_folder
from fairseq_littlebird.text.answers import locate, token_span
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.readers import read_questions
from fairseq_littlebird.text.striding import windows
from fairseq_littlebird.text.tokenizers import FILES, QUESTION, Tokenizer, dictionary_text, load_tokenizer
from fairseq_littlebird.text.window import Window
from fairseq_littlebird.text.workers import ordered_map

VERSION = 1
SPLITS = ("train", "valid", "test")
PARTS: dict[str, type] = {
    "documents": np.uint8,
    "examples": np.uint8,
    "windows": np.int32,
    "offsets": np.int32,
    "spans": np.int32,
}
SMALLEST_WINDOW = 16
NOT_CONTEXT = 4  # <s>, [QUESTION] and two </s>


class PreparedQuestions:
    """A split of a prepared folder; opening it reads no data, and worker processes may share it.

    Args:
        folder: what ``littlebird-prepare qa`` wrote.
        split: ``train``, ``valid`` or ``test``.

    Raises:
        UserError: the folder lacks the split, or one of its files is truncated or of another version.
    """

    def __init__(self, folder: str | Path, split: str) -> None:
        self.folder = Path(folder)
        self.split = split
        self.settings = read_settings(self.folder)
        if not any(self.folder.glob(f"{split}.*")):
            raise UserError(
                f"no split {split!r} here",
                where=str(self.folder),
                remedy=f"prepare it: littlebird-prepare qa --{split} FILE",
            )
        self._parts = {name: _MappedItems(self.folder / f"{split}.{name}") for name in PARTS}
        counts = {name: len(self._parts[name]) for name in ("windows", "offsets", "spans")}
        if len(set(counts.values())) > 1:
            raise UserError(
                f"files of different lengths {counts}",
                where=str(self.folder / split),
                remedy="prepare the folder again",
            )
        self._document: tuple[int, str] = (-1, "")

    def __reduce__(self) -> tuple[Any, ...]:
        return PreparedQuestions, (self.folder, self.split)

    def __len__(self) -> int:
        """Examples, those without a window included."""
        return len(self._parts["examples"])

    @property
    def num_windows(self) -> int:
        """Windows of all examples; those of an example are consecutive."""
        return len(self._parts["windows"])

    @property
    def window_sizes(self) -> np.ndarray:
        """int32[num_windows], tokens of each window."""
        return self._parts["windows"].sizes

    def window_examples(self) -> np.ndarray:
        """int32[num_windows], ascending: the example that each window belongs to."""
        return self._parts["spans"].first_entries()

    def window_answered(self, first: int, stop: int) -> np.ndarray:
        """bool[stop - first]: which of these windows hold an answer."""
        return self._parts["spans"].sizes[first:stop] > 2

    def example(self, index: int) -> tuple[QAExample, range]:
        """An example and the indices of its windows (none if no window could be made)."""
        try:
            record = json.loads(self._parts["examples"][index].tobytes())
            answers = tuple(Answer(answer["text"], answer["start"]) for answer in record["answers"])
            document = self._read_document(record["document"])
            example = QAExample(record["id"], record["question"], document, answers, record["title"])
            return example, range(*record["windows"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"damaged example {index} ({error})",
                where=str(self.folder / f"{self.split}.examples.bin"),
                remedy="prepare the folder again",
            ) from error

    def window(self, index: int) -> Window:
        """A window, in arrays of its own."""
        example, context_start, *spans = self._parts["spans"][index].tolist()
        return Window(
            tokens=self._parts["windows"][index].astype(np.int64),
            context_start=context_start,
            offsets=self._parts["offsets"][index].astype(np.int64).reshape(-1, 2),
            spans=list(zip(spans[::2], spans[1::2], strict=True)),
            example=example,
        )

    def _read_document(self, index: int) -> str:
        # questions of one document are neighbours: the last document is the likely next one
        if self._document[0] != index:
            self._document = (index, self._parts["documents"][index].tobytes().decode())
        return self._document[1]


def read_settings(folder: str | Path) -> dict[str, Any]:
    """The content of ``prepared.json``.

    Raises:
        UserError: the folder is not a prepared one, or of another version.
    """
    path = Path(folder) / "prepared.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            "not a prepared folder (no prepared.json)",
            where=str(folder),
            remedy="make one: littlebird-prepare qa",
        ) from error
    except ValueError as error:
        raise UserError("damaged", where=str(path), remedy="prepare the folder again") from error
    if not isinstance(settings, dict) or settings.get("version") != VERSION:
        raise UserError("of another version", where=str(path), remedy="prepare the folder again")
    return settings


def load_prepared_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer that a prepared folder was made with."""
    return load_tokenizer(folder)


class _MappedItems:
    """Items of an MMapIndexedDataset; unlike fairseq's own class it does not read the files to open them."""

    def __init__(self, path: Path) -> None:
        index, data = Path(f"{path}.idx"), Path(f"{path}.bin")
        for file in (index, data):
            if not file.exists():
                raise UserError("missing", where=str(file), remedy=_AGAIN)
        with index.open("rb") as stream:
            header = stream.read(_HEADER.size)
        if len(header) < _HEADER.size or header[:9] != MMapIndexedDataset.Index._HDR_MAGIC:
            raise UserError("not an index file, or truncated", where=str(index), remedy=_AGAIN)
        _, _, _, count = _HEADER.unpack(header)
        _check_size(index, _HEADER.size + count * (4 + 8))
        self._path = path
        self._dtype = np.dtype(PARTS[path.name.rpartition(".")[2]])
        self.sizes = _map(index, np.int32, count, _HEADER.size)
        self._starts = _map(index, np.int64, count, _HEADER.size + self.sizes.nbytes)
        length = int(self._starts[-1]) + int(self.sizes[-1]) * self._dtype.itemsize if count else 0
        _check_size(data, length)
        self._bytes = _map(data, np.uint8, length, 0)

    def __reduce__(self) -> tuple[Any, ...]:
        return _MappedItems, (self._path,)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)} in {self._path}")
        start, size = int(self._starts[index]), int(self.sizes[index])
        return self._bytes[start : start + size * self._dtype.itemsize].view(self._dtype)

    def first_entries(self) -> np.ndarray:
        """The first number of every item; none may be empty."""
        return self._bytes.view(self._dtype)[self._starts // self._dtype.itemsize]


_HEADER = struct.Struct("<9sQBQ")  # magic, version, code of the item type, number of items
_AGAIN = "copy the file again, or prepare the folder again"


def _map(path: Path, dtype: type, count: int, offset: int) -> np.ndarray:
    # nothing cannot be mapped
    return np.asarray(np.memmap(path, dtype, "r", offset, (count,))) if count else np.zeros(0, dtype)


def _check_size(path: Path, expected: int) -> None:
    size = path.stat().st_size
    if size != expected:
        raise UserError(f"truncated: {size} bytes instead of {expected}", where=str(path), remedy=_AGAIN)


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
) -> dict[str, dict[str, Any]]:
    """Writes a prepared folder; the same one for any number of workers.

    Args:
        dataset: a key of ``text.readers.READERS``.
        files: split -> its files.
        tokenizer: its symbols are the dictionary's.
        dictionary: dict.txt; ``[QUESTION]`` is appended to the copy where it lacks it.
        destination: the folder.
        max_tokens: the most tokens in a window.
        stride: context tokens from one window's start to the next one's. A question that leaves less room
            than this gets half its room as stride.
        join_articles: one document an article instead of one a paragraph.
        workers: processes that tokenize; 0 or 1 for none.
        overwrite: whether to replace a prepared folder.

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
    symbols = _load_dictionary(Path(dictionary))
    _check_match(symbols, tokenizer, Path(dictionary))
    encode = _Encoder(tokenizer, symbols.indices, symbols.unk())
    summaries: dict[str, dict[str, Any]] = {}
    with whole_folder(destination, _names(), overwrite) as folder:
        text = dictionary_text(tokenizer, Path(dictionary))
        (folder / "dict.txt").write_text(text, encoding="utf-8")
        for name, file in tokenizer.files.items():
            shutil.copyfile(file, folder / name)
        with (folder / "report.jsonl").open("w", encoding="utf-8") as report:
            for split, names in paths.items():
                examples = _read_split(dataset, names, join_articles)
                with _SplitWriter(folder, split, symbols, max_tokens, stride, report) as writer:
                    progress = tqdm(desc=split, unit=" questions", mininterval=0.5)
                    with progress:
                        for document in ordered_map(encode, _by_document(examples), workers):
                            writer.add(document)
                            progress.update(len(document.questions))
                    summaries[split] = writer.summary()
                if not summaries[split]["kept"]:
                    raise UserError(
                        f"no example of the {split} split is left: {_reasons(summaries[split]['dropped'])}",
                        where=", ".join(map(str, names)),
                        remedy="check the files and --max-tokens",
                    )
        settings = {
            "version": VERSION,
            "dataset": dataset,
            "tokenizer": {"kind": tokenizer.kind, "files": sorted(tokenizer.files)},
            "max_tokens": max_tokens,
            "stride": stride,
            "join_articles": join_articles,
            "splits": summaries,
        }
        text = json.dumps(settings, indent=1, ensure_ascii=False)
        (folder / "prepared.json").write_text(text + "\n", encoding="utf-8")
    return summaries


def summary_lines(split: str, summary: Mapping[str, Any]) -> list[str]:
    """What :func:`prepare_questions` counted, for people to read."""
    lines = [
        f"{split}: {summary['read']:,} questions on {summary['documents']:,} documents read, "
        f"{summary['kept']:,} kept ({summary['unanswerable']:,} unanswerable), "
        f"{sum(summary['dropped'].values()):,} dropped{_reasons(summary['dropped'], ': ')}",
        f"{split}: {summary['windows']:,} windows; {summary['cut']:,} questions have several"
        + (f", {summary['short_stride']:,} a shorter stride" if summary["short_stride"] else "")
        + f"; {summary['answered_windows']:,} windows hold an answer",
        f"{split}: {summary['answers']:,} answers in place, {summary['repaired']:,} of them repaired and "
        f"{summary['snapped']:,} grown to whole tokens; {summary['lost']:,} not found; "
        f"{summary['unknown_share']:.3%} unknown tokens",
    ]
    if summary["untrainable"]:
        lines.append(
            f"{split}: kept for scoring only: {sum(summary['untrainable'].values()):,}"
            + _reasons(summary["untrainable"], ": ")
        )
    return lines


def _reasons(counts: Mapping[str, int], lead: str = "") -> str:
    return lead + ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) if counts else ""


def _names() -> list[str]:
    parts = [f"{split}.{part}.{end}" for split in SPLITS for part in PARTS for end in ("bin", "idx")]
    return ["prepared.json", "report.jsonl", *FILES, *parts]


def _load_dictionary(path: Path) -> Dictionary:
    try:
        dictionary = Dictionary.load(str(path))
    except OSError:
        raise
    except Exception as error:  # fairseq raises bare Exception, RuntimeError and ValueError here
        raise UserError(
            f"not a fairseq dictionary ({error})",
            where=str(path),
            remedy="make one: littlebird-prepare tokenizer",
        ) from error
    dictionary.add_symbol(QUESTION, n=0)
    return dictionary


def _check_match(dictionary: Dictionary, tokenizer: Tokenizer, path: Path) -> None:
    symbols = tokenizer.symbols()
    held = sum(symbol in dictionary for symbol in symbols)
    if held * 2 < len(symbols):
        raise UserError(
            f"this dictionary holds only {held:,} of the tokenizer's {len(symbols):,} symbols",
            where=str(path),
            remedy="give the dict.txt that belongs to the tokenizer",
        )


def _read_split(dataset: str, files: Iterable[Path], join_articles: bool) -> Iterator[QAExample]:
    """The files' examples one after the other; an id that comes twice or a file without one is an error."""
    seen: set[str] = set()
    for file in files:
        before = len(seen)
        for example in read_questions(dataset, file, join_articles):
            if example.id in seen:
                raise UserError(
                    f"the id {example.id!r} comes twice in this split",
                    where=str(file),
                    remedy="make the ids of a split distinct",
                )
            seen.add(example.id)
            yield example
        if len(seen) == before:
            raise UserError("no question in this file", where=str(file), remedy="leave the file out")


def _by_document(examples: Iterable[QAExample]) -> Iterator[list[QAExample]]:
    group: list[QAExample] = []
    for example in examples:
        if group and example.document is not group[0].document:
            yield group
            group = []
        group.append(example)
    if group:
        yield group


@dataclass
class _Question:
    """A question's token ids int32[q], its answers with their token spans, what was repaired, what lost.

    ``snapped`` counts the answers that start or end inside a token.
    """

    example: QAExample
    tokens: np.ndarray
    answers: list[tuple[Answer, tuple[int, int]]]
    repaired: list[tuple[Answer, int]]
    lost: list[Answer]
    snapped: int = 0


@dataclass
class _Document:
    """A document's token ids int32[n] and character offsets int32[n, 2], and its questions."""

    text: str
    tokens: np.ndarray
    offsets: np.ndarray
    questions: list[_Question]


class _Encoder:
    """Tokenizes a document once, and every question on it; runs in the worker processes."""

    def __init__(self, tokenizer: Tokenizer, indices: dict[str, int], unknown: int) -> None:
        self._tokenizer = tokenizer
        self._indices = indices
        self._unknown = unknown

    def __call__(self, examples: list[QAExample]) -> _Document:
        text = examples[0].document
        tokens, pairs = self._encode(text)
        offsets = np.array(pairs, dtype=np.int32).reshape(-1, 2)
        return _Document(text, tokens, offsets, [self._question(example, offsets) for example in examples])

    def _encode(self, text: str) -> tuple[np.ndarray, list[tuple[int, int]]]:
        symbols, offsets = self._tokenizer.encode(text)
        ids = [self._indices.get(symbol, self._unknown) for symbol in symbols]
        return np.array(ids, dtype=np.int32), offsets

    def _question(self, example: QAExample, offsets: np.ndarray) -> _Question:
        result = _Question(example, self._encode(example.question)[0], [], [], [])
        for answer in dict.fromkeys(example.answers):
            start = locate(example.document, answer)
            span = None
            if start is not None:
                span = token_span(offsets, example.document, start, start + len(answer.text))
            if start is None or span is None:
                result.lost.append(answer)
                continue
            if start != answer.start:
                result.repaired.append((answer, start))
            covered = example.document[offsets[span[0], 0] : offsets[span[1], 1]]
            result.snapped += covered.strip() != answer.text.strip()
            result.answers.append((Answer(answer.text, start), span))
        return result


_COUNTS = (
    "documents",
    "read",
    "kept",
    "unanswerable",
    "cut",
    "short_stride",
    "windows",
    "answered_windows",
    "answers",
    "snapped",
    "repaired",
    "lost",
    "tokens",
)


class _SplitWriter:
    """Cuts windows and appends them to the split's files; a context manager that closes them."""

    def __init__(
        self, folder: Path, split: str, dictionary: Dictionary, max_tokens: int, stride: int, report: Any
    ) -> None:
        self._split = split
        self._stride = stride
        self._max_tokens = max_tokens
        self._report = report
        self._bos, self._eos, self._unknown = dictionary.bos(), dictionary.eos(), dictionary.unk()
        self._question_index = dictionary.index(QUESTION)
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

    def add(self, document: _Document) -> None:
        self._count["documents"] += 1
        self._count["tokens"] += len(document.tokens)
        self._count["unknown"] += int((document.tokens == self._unknown).sum())
        written = False
        for question in document.questions:
            self._count["read"] += 1
            for answer, start in question.repaired:
                self._tell(question, "answer moved to its text", answer, repaired=start)
            for answer in question.lost:
                self._tell(question, "answer not found", answer)
            self._count["answers"] += len(question.answers)
            self._count["repaired"] += len(question.repaired)
            self._count["lost"] += len(question.lost)
            self._count["snapped"] += question.snapped
            pieces, stride_cut = self._cut(document, question)
            reason = self._fault(document, question, pieces)
            if reason and self._split == "train":
                self._dropped[reason] += 1
                self._tell(question, f"dropped: {reason}")
                continue
            if reason:
                self._untrainable[reason] += 1
            if not written:
                self._add("documents", np.frombuffer(document.text.encode(), np.uint8))
                self._count["documents_written"] += 1
                written = True
            self._count["short_stride"] += stride_cut
            self._write(document, question, pieces)

    def _cut(self, document: _Document, question: _Question) -> tuple[list[tuple[int, int]], bool]:
        """The example's windows as context token ranges, and whether its stride had to be shorter."""
        room = self._max_tokens - NOT_CONTEXT - len(question.tokens)
        if room < max(1, self._max_tokens // 8):
            return [], False
        stride = self._stride if self._stride <= room else max(1, room // 2)
        pieces = windows(len(document.tokens), room, stride)
        return pieces, stride != self._stride and len(pieces) > 1

    def _fault(self, document: _Document, question: _Question, pieces: list[tuple[int, int]]) -> str:
        """Why the example cannot be trained on; empty where it can."""
        if not len(document.tokens):
            return "empty context"
        if not question.example.question.strip():
            return "empty question"
        if not pieces:
            return f"question leaves less than {max(1, self._max_tokens // 8)} tokens of context"
        if not question.example.answers:
            return ""
        if not question.answers:
            return "answer not found"
        if not any(
            start <= first and last < stop for _, (first, last) in question.answers for start, stop in pieces
        ):
            return "answer in no window"
        return ""

    def _write(self, document: _Document, question: _Question, pieces: list[tuple[int, int]]) -> None:
        example = question.example
        first_window = self._count["windows"]
        start_of_input = np.array([self._bos, self._question_index], np.int32)
        eos = np.array([self._eos], np.int32)
        prefix = np.concatenate([start_of_input, question.tokens, eos])
        for start, stop in pieces:
            self._add("windows", np.concatenate([prefix, document.tokens[start:stop], eos]))
            self._add("offsets", document.offsets[start:stop].ravel())
            shift = len(prefix) - start
            inside = dict.fromkeys(
                (first + shift, last + shift)
                for _, (first, last) in question.answers
                if start <= first and last < stop
            )
            spans = [self._count["kept"], len(prefix), *(token for span in inside for token in span)]
            self._add("spans", np.array(spans, np.int32))
            self._count["windows"] += 1
            self._count["answered_windows"] += bool(inside)
        placed = [answer for answer, _ in question.answers]
        if self._split != "train":
            placed += [Answer(answer.text, -1) for answer in question.lost]
        record = {
            "id": example.id,
            "question": example.question,
            "title": example.title,
            "document": self._count["documents_written"] - 1,
            "answers": [{"text": answer.text, "start": answer.start} for answer in placed],
            "windows": [first_window, self._count["windows"]],
        }
        self._add("examples", np.frombuffer(json.dumps(record, ensure_ascii=False).encode(), np.uint8))
        self._count["kept"] += 1
        self._count["unanswerable"] += not example.answers
        self._count["cut"] += len(pieces) > 1

    def _add(self, name: str, items: np.ndarray) -> None:
        self._builders[name].add_item(torch.from_numpy(items.copy() if not items.flags.writeable else items))

    def _tell(self, question: _Question, what: str, answer: Answer | None = None, **more: int) -> None:
        record: dict[str, Any] = {"split": self._split, "id": question.example.id, "what": what}
        if answer is not None:
            record |= {"answer": answer.text, "start": answer.start} | more
        self._report.write(json.dumps(record, ensure_ascii=False) + "\n")

    def summary(self) -> dict[str, Any]:
        return {name: self._count[name] for name in _COUNTS} | {
            "dropped": dict(self._dropped),
            "untrainable": dict(self._untrainable),
            "unknown_share": self._count["unknown"] / max(1, self._count["tokens"]),
        }
