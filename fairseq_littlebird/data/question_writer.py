"""The files of one split of a prepared folder, as they are filled."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

from fairseq_littlebird.data.answer_lengths import AnswerLengths
from fairseq_littlebird.data.encoded_document import EncodedDocument, EncodedQuestion, cut
from fairseq_littlebird.data.prepared import PARTS
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.text.example import NULL_TYPE, Answer
from fairseq_littlebird.text.window import holds

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
    "found",
    "first",
    "lost",
    "tokens",
)


class QuestionWriter:
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

    def __enter__(self) -> QuestionWriter:
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
            for answer, place in question.found:
                if not place.certain:
                    self._tell(question, "answer without an offset: the first of several places", answer)
                    self._count["first"] += 1
            for answer in question.lost:
                self._tell(question, "answer not found", answer)
            self._count["answers"] += len(question.answers)
            self._count["repaired"] += len(question.repaired)
            self._count["found"] += len(question.found)
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
