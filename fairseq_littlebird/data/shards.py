"""Training data in several folders joined by colons, one an epoch in turn."""

from __future__ import annotations

from pathlib import Path

from fairseq import utils

from fairseq_littlebird.checkpoints.dictionary import dictionary_symbols, first_difference
from fairseq_littlebird.errors import UserError


def folders(data: str) -> list[Path]:
    """All of them."""
    return [Path(folder) for folder in utils.split_paths(data)]


def folder_of(data: str, epoch: int = 1) -> Path:
    """That of an epoch, counted from 1; the first also has the dictionary and the validation data."""
    every = folders(data)
    return every[(epoch - 1) % len(every)]


def folders_read(data: str, training: bool, epoch: int = 1) -> list[Path]:
    """What to check before a split is read: all folders in training, as an epoch may begin days from now."""
    return folders(data) if training else [folder_of(data, epoch)]


def check_dictionaries(data: str, part: str = "") -> None:
    """Raises UserError where folders have different dictionaries.

    Args:
        data: the folders.
        part: the subfolder of each that has dict.txt.
    """
    first, *others = (folder / part / "dict.txt" for folder in folders(data))
    for path in others:
        if path.exists() and first.exists():
            theirs, ours = (dictionary_symbols(file.read_bytes(), str(file)) for file in (path, first))
            if fault := first_difference(theirs, ours, str(first)):
                raise UserError(f"the dictionary {fault}", str(path), "prepare all folders with the same dict.txt")
