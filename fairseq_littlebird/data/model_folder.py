"""A trained model's dictionary and tokenizer: in its checkpoint, beside it, or where it was trained."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairseq_littlebird.checkpoints.dictionary import (
    bundled_file,
    check_symbols,
    dictionary_folders,
    dictionary_lines,
    dictionary_symbols,
    members,
)
from fairseq_littlebird.checkpoints.tensors import find_checkpoint, load_tensors
from fairseq_littlebird.data.classification_metadata import DATASET as CLASSIFICATION
from fairseq_littlebird.data.classification_metadata import VERSION as CLASSIFICATION_VERSION
from fairseq_littlebird.data.prepared import VERSION, is_limit
from fairseq_littlebird.data.summarization_metadata import DATASET as SUMMARIZATION
from fairseq_littlebird.datasets import PLAIN
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.problem_type import PROBLEM_TYPES, REGRESSION
from fairseq_littlebird.text.tokenizers import FILES, Tokenizer, WordTokenizer, load_tokenizer

NAMES = ("prepared.json", *FILES)

QUESTIONS = "question_answering"
CLASSIFIER = "littlebird_sentence_prediction"
CLASSIFIERS = ("sentence_prediction", CLASSIFIER)
"""Tasks that need labels; checkpoints of the latter know them."""


def read_files(folder: str | Path) -> dict[str, Tensor]:
    """Name -> uint8[bytes] of the dictionary, the tokenizer's files and ``prepared.json``, as far as they are there."""
    paths = [Path(folder) / name for name in NAMES]
    return {path.name: torch.from_numpy(np.fromfile(path, np.uint8)) for path in paths if path.is_file()}


def bundled_files(content: Mapping[str, Any]) -> dict[str, bytes]:
    """Name -> content of what :func:`read_files` gave, from a checkpoint whose task had it in its state.

    Raises:
        UserError: it is damaged.
    """
    files = {name: bundled_file(content, name) for name in NAMES}
    return {name: file for name, file in files.items() if file is not None}


@dataclass(frozen=True)
class TrainedSettings:
    """What a checkpoint keeps of the prepared folder that its model was trained on.

    Args:
        dataset: the data set's name.
        max_answer_length: tokens of an answer at most; None for the data set's own limit.
    """

    dataset: str
    max_answer_length: int | None = None


def trained_settings(folder: Path, where: str) -> TrainedSettings | None:
    """What :func:`settings_in` finds in a folder's ``prepared.json``; None where there is none.

    Args:
        folder: see :func:`model_folder`.
        where: the model, for messages.
    Raises:
        UserError: it is damaged.
    """
    settings = folder / "prepared.json"
    return settings_in(settings.read_bytes(), where) if settings.exists() else None


def settings_in(content: bytes, where: str = "") -> TrainedSettings:
    """Those of a ``prepared.json`` of whatever version.

    Args:
        content: of the file.
        where: the model, for messages.
    Raises:
        UserError: it is damaged.
    """
    try:
        settings = json.loads(content)
        found = TrainedSettings("" + settings["dataset"], settings.get("max_answer_length"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("its prepared.json is damaged", where, "copy or train it again") from error
    if not is_limit(found.max_answer_length):
        raise UserError("its prepared.json is damaged", where, "copy or train it again")
    return found


@contextmanager
def model_folder(
    path: str | Path, dictionary: str | Path | None = None, classifiers: bool = False
) -> Iterator[tuple[Path, Path, str | None]]:
    """The checkpoint, a folder with ``dict.txt``, the tokenizer's files and ``prepared.json``, as far as there, and the
    name of the checkpoint's task.

    Args:
        path: a checkpoint, or a folder with one of ``CHECKPOINTS``.
        dictionary: a folder with the dictionary and the tokenizer of a checkpoint that carries none.
        classifiers: whether it may be one, whose folder has the parts that its task reads, too.
    Raises:
        UserError: no checkpoint, one that is damaged, a classifier, or no dictionary anywhere.
    """
    checkpoint = find_checkpoint(path)
    content = load_tensors(checkpoint, mapped=True)
    try:
        task = members(members(content, "cfg"), "task").get("_name")
    except UserError as error:
        raise UserError(str(error), str(checkpoint)) from error
    if task in CLASSIFIERS and not (classifiers and task == CLASSIFIER):
        remedy = "give a question-answering or a pretrained model; littlebird-predict classifies texts"
        raise UserError(f"a classifier (--task {task})", str(checkpoint), remedy)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_own_files(folder, content, checkpoint, dictionary)
        if task == CLASSIFIER:
            write_classifier_parts(folder, content, checkpoint)
        elif task not in (QUESTIONS, SUMMARIZATION, None):  # it would be that of a folder given for its tokenizer
            (folder / "prepared.json").unlink(missing_ok=True)
        del content  # the file's pages are let go
        yield checkpoint, folder, task


def write_classifier_parts(folder: Path, content: Mapping[str, Any], checkpoint: Path) -> None:
    """What ``littlebird_sentence_prediction`` reads of a prepared folder, without any text.

    Args:
        folder: with the dictionary; the task finds it under ``input0``.
        content: of the checkpoint, whose task knows its labels or the range of its scores.
        checkpoint: its path.
    Raises:
        UserError: it is damaged.
    """
    try:
        settings = members(members(content, "cfg"), "task")
        state = members(content, "task_state")
    except UserError as error:
        raise UserError(str(error), str(checkpoint)) from error
    kind, labels = state.get("problem_type") or settings.get("problem_type"), state.get("labels")
    count = settings.get("num_classes")  # -1: as the folder said
    if labels or (kind == REGRESSION and count == -1):
        count = len(labels) if labels else 1
    if not isinstance(count, int) or count < 1 or kind not in PROBLEM_TYPES:
        raise UserError(f"damaged (a classifier of {count} classes)", str(checkpoint), "copy or train it again")
    if not labels and kind != REGRESSION:
        labels = [str(number) for number in range(count)]  # of fairseq-preprocess, which names none
    metadata = {"version": CLASSIFICATION_VERSION, "dataset": CLASSIFICATION, "problem_type": kind, "splits": {}}
    metadata |= {"labels": list(labels or ()), "score_range": state.get("score_range") or [0.0, 1.0]}
    if kind != REGRESSION:
        del metadata["score_range"]
    (folder / "prepared.json").unlink(missing_ok=True)  # it may be a link
    (folder / "prepared.json").write_text(json.dumps(metadata), "utf-8")
    (folder / "label").mkdir()
    (folder / "label" / "dict.txt").write_text("".join(f"{number} 1\n" for number in range(count)), "utf-8")
    (folder / "input0").symlink_to(folder, target_is_directory=True)


def write_own_files(
    folder: Path, content: Mapping[str, Any], checkpoint: Path, dictionary: str | Path | None = None
) -> None:
    """Puts a checkpoint's dictionary, tokenizer and ``prepared.json`` into a folder, as far as they are there.

    What it carries comes first; a tokenizer that it does not carry is taken from where its dictionary is.

    Args:
        folder: where to write.
        content: of the checkpoint.
        checkpoint: its path.
        dictionary: see :func:`model_folder`.
    Raises:
        UserError: it is damaged, has no dictionary anywhere, or carries another than that of ``dictionary``.
    """
    try:
        bundled = bundled_files(content)
        folders = dictionary_folders(content, checkpoint)
    except UserError as error:
        raise UserError(str(error), str(checkpoint)) from error
    for name, file in bundled.items():
        (folder / name).write_bytes(file)
    own = None
    if "dict.txt" in bundled:
        own = dictionary_symbols(bundled["dict.txt"], f"{checkpoint}, dict.txt")
        given = Path(dictionary or "") / "dict.txt"
        if dictionary and given.is_file():
            theirs = dictionary_symbols(given.read_bytes(), str(given))
            check_symbols(own, theirs, str(given), str(checkpoint), "give the model's own folder")
        if bundled.keys() - {"dict.txt", "prepared.json"}:
            return
    folders = [Path(dictionary), *folders] if dictionary else folders
    source = _folder_of(folders, own)
    if source is None and own is None:
        names = " or ".join(str(folder) for folder in folders)
        remedy = "copy dict.txt and the tokenizer's files beside the checkpoint"
        raise UserError(f"no dict.txt in {names}", str(checkpoint), remedy)
    for path in source.iterdir() if source else ():
        if (path.name in NAMES or path.suffix == ".model") and path.name not in bundled:
            (folder / path.name).symlink_to(path.resolve())


def model_tokenizer(
    folder: Path, tokenizer: str | Path | None, where: str, remedy: str, words: bool = False
) -> Tokenizer:
    """The tokenizer of a :func:`model_folder`.

    Args:
        folder: the folder that it gave.
        tokenizer: file or folder to take instead.
        where: the model, for messages.
        remedy: how to give another, for messages.
        words: where there is none, tokens are what stands between white space, as for ``fairseq-preprocess``.
    Raises:
        UserError: none there, a damaged one, or one of another vocabulary than the dictionary's.
    """
    dictionary = folder / "dict.txt"
    try:
        found = load_tokenizer(tokenizer or folder, dictionary)
    except UserError as error:
        if words and not has_tokenizer(Path(tokenizer or folder)):
            return WordTokenizer([line[0] for line in dictionary_lines(dictionary.read_bytes(), str(dictionary))])
        if tokenizer:
            raise
        raise UserError("no tokenizer with this model", where, remedy) from error
    symbols, known = {*found.symbols()}, {*dictionary_symbols(dictionary.read_bytes(), str(dictionary))}
    # the dictionary may have the tokens of one corpus alone, or more than the tokenizer
    if 2 * len(symbols & known) < min(len(symbols), len(known)):
        raise UserError(
            "a tokenizer with another vocabulary than the model's", str(tokenizer or where), "give the model's own"
        )
    return found


def has_tokenizer(folder: Path) -> bool:
    """Whether a file of a tokenizer is there, of whatever content; or it is no folder."""
    return not folder.is_dir() or any(path.name in FILES[1:] or path.suffix == ".model" for path in folder.iterdir())


def default_settings(dataset: str = PLAIN, max_answer_length: int | None = None) -> str:
    """A ``prepared.json`` for a model that was not trained on a prepared folder."""
    return json.dumps({"version": VERSION, "dataset": dataset, "max_answer_length": max_answer_length})


def _folder_of(folders: Iterable[Path], own: Sequence[str] | None) -> Path | None:
    """The first folder with a dict.txt, of these symbols where they are known."""
    for folder in folders:
        path = folder / "dict.txt"
        if path.is_file() and (own is None or dictionary_symbols(path.read_bytes(), str(path)) == list(own)):
            return folder
    return None
