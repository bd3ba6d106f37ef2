"""A trained model's dictionary and tokenizer: in its checkpoint, beside it, or where it was trained."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairseq_littlebird.checkpoints.tensors import load_tensors
from fairseq_littlebird.data.prepared import VERSION, is_limit
from fairseq_littlebird.data.shards import words_of
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers import FILES, Tokenizer, load_tokenizer

CHECKPOINTS = ("checkpoint_best.pt", "checkpoint_last.pt", "checkpoint.pt", "model.pt")
"""What a folder's checkpoint is called; the first of these that is there is taken."""

NAMES = ("prepared.json", *FILES)

CLASSIFIERS = ("sentence_prediction", "littlebird_sentence_prediction")
"""Tasks that need labels, which no tokenizer's folder has."""


def read_files(folder: str | Path) -> dict[str, Tensor]:
    """Name -> uint8[bytes] of the dictionary, the tokenizer's files and ``prepared.json``, as far as they are there."""
    paths = [Path(folder) / name for name in NAMES]
    return {path.name: torch.from_numpy(np.fromfile(path, np.uint8)) for path in paths if path.is_file()}


def carried_files(state: Any) -> dict[str, Tensor]:
    """What :func:`read_files` gave, from a checkpoint's ``task_state``.

    Raises:
        UserError: it is damaged.
    """
    files = _members({"task_state": state}, "task_state")
    carried = {name: file for name, file in _members(files, "files").items() if name in NAMES}
    for name, file in carried.items():
        if not isinstance(file, Tensor) or file.dtype != torch.uint8:
            raise UserError(f"damaged ({name} in it is no file)", remedy="copy or train it again")
    return carried


def trained_settings(folder: Path, where: str) -> dict[str, Any]:
    """What :func:`settings_in` finds in a folder's ``prepared.json``; {} where there is none.

    Args:
        folder: see :func:`model_folder`.
        where: the model, for messages.
    Raises:
        UserError: it is damaged.
    """
    settings = folder / "prepared.json"
    return settings_in(settings.read_bytes(), where) if settings.exists() else {}


def settings_in(content: bytes, where: str = "") -> dict[str, Any]:
    """``dataset`` and ``max_answer_length`` of a ``prepared.json`` of whatever version.

    Args:
        content: of the file.
        where: the model, for messages.
    Raises:
        UserError: it is damaged.
    """
    try:
        settings = json.loads(content)
        found = {"dataset": "" + settings["dataset"], "max_answer_length": settings.get("max_answer_length")}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("its prepared.json is damaged", where, "copy or train it again") from error
    if not is_limit(found["max_answer_length"]):
        raise UserError("its prepared.json is damaged", where, "copy or train it again")
    return found


@contextmanager
def model_folder(path: str | Path, words: str | Path | None = None) -> Iterator[tuple[Path, Path]]:
    """The checkpoint, and a folder with ``dict.txt``, the tokenizer's files and ``prepared.json``, as far as there.

    Args:
        path: a checkpoint, or a folder with one of ``CHECKPOINTS``.
        words: a folder with the dictionary and the tokenizer of a checkpoint that carries none.
    Raises:
        UserError: no checkpoint, one that is damaged, a classifier, or no dictionary anywhere.
    """
    checkpoint = _checkpoint(Path(path))
    content = load_tensors(checkpoint, mapped=True)
    try:
        task = _members(_members(content, "cfg"), "task")
        carried = carried_files(content.get("task_state"))
    except UserError as error:
        raise UserError(str(error), str(checkpoint)) from error
    if task.get("_name") in CLASSIFIERS:
        remedy = "give a reader or a pretrained model; littlebird-predict labels texts"
        raise UserError(f"a classifier (--task {task['_name']})", str(checkpoint), remedy)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in carried:
            carried[name].numpy().tofile(folder / name)
        if "dict.txt" not in carried or not carried.keys() - {"dict.txt", "prepared.json"}:  # no tokenizer
            source = _folder_of(checkpoint, task.get("data"), words, needed="dict.txt" not in carried)
            for path in source.iterdir() if source else ():
                if (path.name in NAMES or path.suffix == ".model") and path.name not in carried:
                    (folder / path.name).symlink_to(path.resolve())
        del content, carried  # the files' pages are let go
        yield checkpoint, folder


def model_tokenizer(folder: Path, tokenizer: str | Path | None, where: str, remedy: str) -> Tokenizer:
    """The tokenizer of a :func:`model_folder`.

    Args:
        folder: the folder that it gave.
        tokenizer: file or folder to take instead.
        where: the model, for messages.
        remedy: how to give another, for messages.
    Raises:
        UserError: none there, a damaged one, or one of other words than the dictionary's.
    """
    dictionary = folder / "dict.txt"
    try:
        found = load_tokenizer(tokenizer or folder, dictionary)
    except UserError as error:
        if tokenizer:
            raise
        raise UserError("no tokenizer with this model", where, remedy) from error
    symbols, words = {symbol.encode() for symbol in found.symbols()}, {*words_of(dictionary.read_bytes())}
    # the dictionary may have the words of one corpus alone, or more than the tokenizer
    if 2 * len(symbols & words) < min(len(symbols), len(words)):
        raise UserError("a tokenizer of other words than the model's", str(tokenizer or where), "give the model's own")
    return found


def default_settings(dataset: str = "squad", max_answer_length: int | None = None) -> str:
    """A ``prepared.json`` for a model that was not trained on a prepared folder."""
    return json.dumps({"version": VERSION, "dataset": dataset, "max_answer_length": max_answer_length})


def _checkpoint(path: Path) -> Path:
    if path.is_file():
        return path
    for name in CHECKPOINTS:
        if (path / name).is_file():
            return path / name
    raise UserError(
        f"none of {', '.join(CHECKPOINTS)}" if path.is_dir() else "no such checkpoint or folder",
        str(path),
        "give the --save-dir of a training, a folder of littlebird-warm-start, or a checkpoint",
    )


def _members(content: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of a checkpoint that has parts itself; empty where it is not there."""
    part = content.get(name) or {}
    if isinstance(part, Namespace):  # of fairseq's older tasks
        return vars(part)
    if not isinstance(part, dict):
        raise UserError(f"damaged ({name} is {type(part).__name__})", remedy="copy or train it again")
    return part


def _folder_of(checkpoint: Path, data: Any, words: str | Path | None, needed: bool) -> Path | None:
    """Where the dictionary and the tokenizer are of a checkpoint that does not carry them."""
    folders = [
        *([Path(words)] if words else []),
        checkpoint.parent,
        *([Path(data.split(":")[0])] if isinstance(data, str) and data else []),
    ]
    for folder in folders:
        if (folder / "dict.txt").is_file():
            return folder
    if not needed:
        return None
    raise UserError(
        f"no dict.txt in {' or '.join(map(str, folders))}",
        str(checkpoint),
        "copy dict.txt and the tokenizer's files beside the checkpoint",
    )
