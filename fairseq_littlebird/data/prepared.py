"""The prepared question answering folder, read lazily.

``DEST/prepared.json`` holds the settings, the ids of the symbols that every window has, and the summary;
``DEST/report.jsonl`` every repaired or dropped answer and example; ``DEST/dict.txt`` and the tokenizer's
files lie beside them. Per split there are eight memory-mapped fairseq data sets (``.bin`` and ``.idx``).
One item a document, shared by its questions:

- ``documents``, uint8: its UTF-8;
- ``tokens``, int32: its token ids; ``</s>`` parts paragraphs, with ``GAP`` virtual paddings behind it;
- ``offsets``, int32: start and end character of each of its tokens.

One item an example:

- ``examples``, uint8: JSON with id, question, title, document (index), answers (text, start), the names of the
  segments, and the answer's type;
- ``questions``, int32: token ids of its question;
- ``spans``, int32: document (index), then first and last token (inclusive, indices in the document) of each
  answer that has its place;
- ``segments``, int32: type of the answer (index, or -1), then first and last token (inclusive, -1 where there is
  none) of each segment, and whether it is gold.

One item a window, those of an example consecutive and in the order of the examples:

- ``windows``, int32: example (index), first context token and the one after the last (indices in the
  document). The window is ``<s> [QUESTION] question </s> context </s>``.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.example import Answer, QAExample, Segment
from fairseq_littlebird.text.window import GAP, NOT_CONTEXT, SYMBOLS, Window, WindowFormat, assemble, holds

VERSION = 3
SPLITS = ("train", "valid", "test")
PARTS: dict[str, type] = {
    "documents": np.uint8,
    "tokens": np.int32,
    "offsets": np.int32,
    "examples": np.uint8,
    "questions": np.int32,
    "spans": np.int32,
    "segments": np.int32,
    "windows": np.int32,
}
PARALLEL = (("documents", "tokens", "offsets"), ("examples", "questions", "spans", "segments"))


class PreparedQuestions:
    """A split of a prepared folder; opening it reads no data, and worker processes may share it.

    Args:
        folder: what ``littlebird-prepare qa`` wrote.
        split: ``train``, ``valid`` or ``test``.
        gap: virtual paddings between paragraphs, in positions.

    Raises:
        UserError: the folder lacks the split, or one of its files is truncated or of another version.
    """

    def __init__(self, folder: str | Path, split: str, gap: int = GAP) -> None:
        self.folder = Path(folder)
        self.split = split
        self.gap = gap
        self.settings = read_settings(self.folder)
        symbols, types = self.settings.get("symbols"), self.settings.get("answer_types")
        if (
            not isinstance(symbols, dict)
            or not all(isinstance(symbols.get(symbol), int) for symbol in SYMBOLS)
            or not isinstance(types, list)
            or not all(isinstance(name, str) for name in types)
        ):
            raise UserError("damaged", where=str(self.folder / "prepared.json"), remedy="prepare the folder again")
        spec = DATASETS.get(self.settings["dataset"])
        self._form = WindowFormat(symbols, types, spec.segments if spec else "")
        if not any(self.folder.glob(f"{split}.*")):
            there = [name for name in SPLITS if any(self.folder.glob(f"{name}.*"))]
            remedy = f"name one of {', '.join(there)}" if there else "prepare some with littlebird-prepare qa"
            remedy += f", or prepare it with --{split}" if there and split in SPLITS else ""
            raise UserError(f"no split {split!r} here", str(self.folder), remedy)
        self._parts = {name: MappedItems(self.folder / f"{split}.{name}") for name in PARTS}
        for names in PARALLEL:
            counts = {name: len(self._parts[name]) for name in names}
            if len(set(counts.values())) > 1:
                raise UserError(
                    f"files of different lengths {counts}",
                    where=str(self.folder / split),
                    remedy="prepare the folder again",
                )
        self._windows = self._parts["windows"].rows(3)
        self._document: tuple[int, str] = (-1, "")

    def __reduce__(self) -> tuple[Any, ...]:
        return PreparedQuestions, (self.folder, self.split, self.gap)

    def __len__(self) -> int:
        """Examples, those without a window included."""
        return len(self._parts["examples"])

    @property
    def num_windows(self) -> int:
        """Windows of all examples; those of an example are consecutive."""
        return len(self._windows)

    @property
    def window_sizes(self) -> np.ndarray:
        """int32[num_windows], tokens of each window."""
        examples, starts, stops = self._windows.T
        if len(examples) and not 0 <= examples.min() <= examples.max() < len(self):
            raise self._damaged("windows", "windows of examples that are not there")
        return self._parts["questions"].sizes[examples] + (stops - starts) + np.int32(NOT_CONTEXT)

    def window_examples(self) -> np.ndarray:
        """int32[num_windows], ascending: the example that each window belongs to."""
        return self._windows[:, 0]

    def window_answered(self, first: int, stop: int) -> np.ndarray:
        """bool[stop - first]: which of these windows hold an answer, or a gold segment where there is no answer."""
        rows = self._windows[first:stop]
        examples = np.split(rows, np.flatnonzero(np.diff(rows[:, 0])) + 1) if len(rows) else []
        answered = [np.any(holds(own[:, 1:], self._answers(int(own[0, 0]))), axis=1) for own in examples]
        return np.concatenate([np.zeros(0, dtype=bool), *answered])

    def untrainable(self) -> np.ndarray:
        """int64[n]: examples kept to be scored alone, as their answer is in no window or their question is empty.

        To train on them would be to train on "no answer"; a split of ``littlebird-prepare --train`` has none.
        """
        summary = self.settings.get("splits", {}).get(self.split, {})
        if not summary.get("untrainable"):
            return np.zeros(0, dtype=np.int64)
        answered = np.zeros(len(self), dtype=bool)
        answered[self.window_examples()[self.window_answered(0, self.num_windows)]] = True
        return np.array([i for i, there in enumerate(answered) if self._is_untrainable(i, there)], dtype=np.int64)

    def _is_untrainable(self, index: int, answered: bool) -> bool:
        example, _ = self.example(index)
        should = bool(example.answers) or len(self._answers(index)) > 0
        return not example.question.strip() or (should and not answered)

    def example(self, index: int) -> tuple[QAExample, range]:
        """An example and the indices of its windows (none if no window could be made)."""
        content = self._parts["examples"][index].tobytes()
        try:
            record = json.loads(content)
            answers = tuple(Answer(answer["text"], answer["start"]) for answer in record["answers"])
            document = self._read_document(record["document"])
            example = QAExample(
                record["id"],
                record["question"],
                document,
                answers,
                record["title"],
                segments=tuple(Segment(-1, -1, name=name) for name in record["segments"]),
                answer_type=record["answer_type"],
            )
            "".join([example.id, example.question, example.title, example.answer_type, *record["segments"]]).encode()
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged("examples", f"example {index}: {error}") from error
        owners = self.window_examples()
        # not np.searchsorted, which would copy the column
        first = bisect_left(owners, index)
        return example, range(first, bisect_left(owners, index + 1, first))

    def window(self, index: int) -> Window:
        """A window, in arrays of its own."""
        record = self._parts["windows"][index].tolist()
        try:
            return self._window(*record)
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise self._damaged("windows", f"window {index}: {error}") from error

    def _window(self, example: int, start: int, stop: int) -> Window:
        document = int(self._parts["spans"][example][0])
        context = self._parts["tokens"].part(document, start, stop)
        offsets = self._parts["offsets"].part(document, 2 * start, 2 * stop)
        if not 0 <= start <= stop or not 2 * len(context) == len(offsets) == 2 * (stop - start):
            raise ValueError(f"no tokens {start} to {stop} in document {document}")
        answer_type, segments = self._segments(example)
        return assemble(
            example,
            start,
            self._parts["questions"][example],
            context,
            offsets.astype(np.int64).reshape(-1, 2),
            self._form,
            self._spans(example),
            segments,
            answer_type,
            self.gap,
        )

    def _damaged(self, part: str, what: str) -> UserError:
        path = self.folder / f"{self.split}.{part}.bin"
        return UserError(f"damaged ({what})", where=str(path), remedy="prepare the folder again")

    def _spans(self, example: int) -> np.ndarray:
        return self._parts["spans"][example][1:].reshape(-1, 2)

    def _segments(self, example: int) -> tuple[int, np.ndarray]:
        """The answer type, and int32[m, 3], first and last token of each segment and whether it is gold."""
        record = self._parts["segments"][example]
        return int(record[0]), record[1:].reshape(-1, 3)

    def _answers(self, example: int) -> np.ndarray:
        """int32[n, 2], first and last token of each answer; without one, of each gold segment."""
        spans = self._spans(example)
        if len(spans):
            return spans
        segments = self._segments(example)[1]
        return segments[segments[:, 2] > 0, :2]

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
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise UserError(
            "not a prepared folder (no prepared.json)",
            where=str(folder),
            remedy="make one: littlebird-prepare qa",
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError("damaged", where=str(path), remedy="prepare the folder again") from error
    if not isinstance(settings, dict) or settings.get("version") != VERSION:
        raise UserError("of another version", where=str(path), remedy="prepare the folder again")
    if not isinstance(settings.get("dataset"), str) or not is_limit(settings.get("max_answer_length")):
        raise UserError("damaged", where=str(path), remedy="prepare the folder again")
    return settings


def longest_answer(settings: Mapping[str, Any]) -> int:
    """Tokens of an answer at most, from the content of ``prepared.json``; the data set's own where it has no limit."""
    return settings.get("max_answer_length") or DATASETS[settings["dataset"]].max_answer_length


def is_limit(value: Any) -> bool:
    """Whether it can stand in ``prepared.json`` as ``max_answer_length``."""
    return value is None or (type(value) is int and value > 0)
