"""Writes documents and summaries as fairseq's memory-mapped data sets."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

from fairseq_littlebird.data.summarization_metadata import DOCUMENT, ID, PARTS, SUMMARY, TEXT


class SummarizationWriter:
    """Appends documents to the data sets of a split; a context manager that closes them.

    Args:
        folder: where they are.
        split: its name.
        summarized: whether its documents have summaries.
    """

    def __init__(self, folder: Path, split: str, summarized: bool) -> None:
        self._paths = {part: folder / f"{split}.{part}" for part in PARTS if summarized or part != SUMMARY}
        self._builders = {}
        for part, path in self._paths.items():
            builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=PARTS[part])
            builder._sizes = array("i")  # a list would hold a Python integer an item
            self._builders[part] = builder
        gold = folder / f"{split}.gold.jsonl"
        self._gold = gold.open("w", encoding="utf-8", newline="\n") if summarized else None

    def __enter__(self) -> SummarizationWriter:
        return self

    def __exit__(self, *error: object) -> None:
        with ExitStack() as stack:
            if self._gold is not None:
                stack.enter_context(self._gold)
            for part, builder in self._builders.items():
                stack.callback(builder.finalize, f"{self._paths[part]}.idx")

    def add(self, id: str, text: str, document: Sequence[int], summary: Sequence[int] | None, gold: str | None) -> None:
        """One document.

        Args:
            id: its own.
            text: the document as the tokenizer read it.
            document, summary: token ids, with their special symbols.
            gold: the summary's text, with a line a sentence.
        """
        items: dict[str, Sequence[int] | bytes] = {DOCUMENT: document, ID: id.encode(), TEXT: text.encode()}
        if self._gold is not None and summary is not None:
            items[SUMMARY] = summary
            self._gold.write(json.dumps({"id": id, "summary": gold}, ensure_ascii=False) + "\n")
        for part, builder in self._builders.items():
            builder.add_item(torch.tensor(list(items[part]), dtype=torch.int32))
