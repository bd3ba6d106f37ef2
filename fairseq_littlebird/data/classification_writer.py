"""Writes labelled texts as the data sets that fairseq's sentence_prediction reads."""

from __future__ import annotations

import codecs
import shutil
from array import array
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

from fairseq_littlebird.text.tokenizers import Tokenizer

PARTS: dict[str, type] = {"input0": np.int32, "input1": np.int32, "label": np.int32, "id": np.uint8}


def begin_folder(folder: Path, parts: Iterable[str], tokenizer: Tokenizer, dictionary: Path, classes: int) -> None:
    """Makes the folder of each part, with the dictionary and the tokenizer's files, and as many label numbers."""
    for part in parts:
        (folder / part).mkdir()
    (folder / "input0" / "dict.txt").write_bytes(dictionary.read_bytes().removeprefix(codecs.BOM_UTF8))
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
        self._scores = folder / "label" / f"{split}.label"
        self._paths = {part: folder / part / split for part in parts}
        self._builders = {}
        self._stream: TextIO | None = None
        for part, path in self._paths.items():
            builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=PARTS[part])
            builder._sizes = array("i")  # a list would hold a Python integer an item
            self._builders[part] = builder

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(self, *error: object) -> None:
        with ExitStack() as stack:
            if self._stream is not None:
                stack.enter_context(self._stream)
            for part, builder in self._builders.items():
                stack.callback(builder.finalize, f"{self._paths[part]}.idx")

    def add(
        self,
        text: Sequence[int],
        second: Sequence[int] | None = None,
        *,
        label: Sequence[int] | None = None,
        id: str | None = None,
        score: float | None = None,
    ) -> None:
        """Token ids without ``</s>``, label numbers from 0, and id; those that the split has, and no others.

        Of regression the score, as the model learns it, which no part has.
        """
        items: dict[str, Sequence[int] | bytes] = {"input0": [*text, self._eos]}
        if second is not None:
            items["input1"] = [*second, self._eos]
        if label is not None:
            items["label"] = [*(number + self._first for number in label), self._eos]
        if id is not None:
            items["id"] = id.encode()
        if items.keys() != self._builders.keys():
            raise ValueError(f"{sorted(items)} for data sets of {sorted(self._builders)}")
        if score is not None:
            if self._stream is None:
                self._stream = self._scores.open("w", encoding="utf-8", newline="\n")
            self._stream.write(f"{score!r}\n")
        for part, item in items.items():
            self._builders[part].add_item(torch.tensor(list(item), dtype=torch.int32))
