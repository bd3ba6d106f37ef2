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
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.example import NULL_TYPE, Answer, QAExample, Segment
from fairseq_littlebird.text.tokenizers import QUESTION
from fairseq_littlebird.text.window import Window

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
SYMBOLS = ("<s>", QUESTION, "</s>")
GAP = 32  # positions between paragraphs (appendix A.2)
NOT_CONTEXT = 4  # <s>, [QUESTION] and two </s>


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
        if not any(self.folder.glob(f"{split}.*")):
            raise UserError(
                f"no split {split!r} here",
                where=str(self.folder),
                remedy=f"prepare it: littlebird-prepare qa --{split} FILE",
            )
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

    def example(self, index: int) -> tuple[QAExample, range]:
        """An example and the indices of its windows (none if no window could be made)."""
        try:
            record = json.loads(self._parts["examples"][index].tobytes())
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
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"damaged example {index} ({error})",
                where=str(self.folder / f"{self.split}.examples.bin"),
                remedy="prepare the folder again",
            ) from error
        owners = self.window_examples()
        # not np.searchsorted, which would copy the column
        first = bisect_left(owners, index)
        return example, range(first, bisect_left(owners, index + 1, first))

    def window(self, index: int) -> Window:
        """A window, in arrays of its own."""
        example, start, stop = self._parts["windows"][index].tolist()
        document = int(self._parts["spans"][example][0])
        spans = self._spans(example)
        inside = spans[holds(np.array([[start, stop]]), spans)[0]]
        question = self._parts["questions"][example]
        context = self._parts["tokens"].part(document, start, stop)
        bos, mark, eos = (self.settings["symbols"][symbol] for symbol in SYMBOLS)
        context_start = len(question) + 3
        inside = inside + (context_start - start)
        tokens = np.concatenate([[bos, mark], question, [eos], context, [eos]], dtype=np.int64)
        gaps = np.flatnonzero(context == eos) + context_start
        kind, segments = self._segments(example)
        kept = np.flatnonzero(holds(np.array([[start, stop]]), segments[:, :2])[0])
        answered = len(inside) or segments[kept, 2].any()
        if kind >= 0 and not answered and NULL_TYPE in self.settings["answer_types"]:
            kind = self.settings["answer_types"].index(NULL_TYPE)
        return Window(
            tokens=tokens,
            context_start=context_start,
            offsets=self._parts["offsets"].part(document, 2 * start, 2 * stop).astype(np.int64).reshape(-1, 2),
            spans=list(dict.fromkeys((first, last) for first, last in inside.tolist())),
            example=example,
            positions=after_gaps(len(tokens), gaps, self.gap) if len(gaps) and self.gap else None,
            segments=segments[kept, :2].astype(np.int64) + (context_start - start),
            segment_ids=kept,
            gold_segments=segments[kept, 2].astype(bool),
            answer_type=kind,
        )

    def _spans(self, example: int) -> np.ndarray:
        return self._parts["spans"][example][1:].reshape(-1, 2)

    def _segments(self, example: int) -> tuple[int, np.ndarray]:
        """The kind of the answer, and int32[m, 3], first and last token of each segment and whether it is gold."""
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


def after_gaps(length: int, gaps: np.ndarray, gap: int = GAP) -> np.ndarray:
    """Position ids int64[length] with ``gap`` positions skipped after each of the tokens ``gaps``."""
    before = np.zeros(length + 1, dtype=np.int64)
    before[gaps + 1] = gap
    return np.arange(length) + before[:length].cumsum()


def holds(windows: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Which windows hold which answers wholly.

    Args:
        windows: integer[w, 2], first context token and the one after the last.
        spans: integer[s, 2], first and last token, inclusive.

    Returns:
        bool[w, s]
    """
    return (windows[:, :1] <= spans[:, 0]) & (spans[:, 1] < windows[:, 1:])


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
