"""PyTorch files, read without running anything in them."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path
from typing import Any

import torch

from fairseq_littlebird.errors import UserError, unreadable
from fairseq_littlebird.inputs import check_rereadable

CHECKPOINTS = ("checkpoint_best.pt", "checkpoint_last.pt", "checkpoint.pt", "model.pt")
"""What a folder's checkpoint is called; the first of these that is there is taken."""


def find_checkpoint(path: str | Path) -> Path:
    """A checkpoint's file, or that of a folder.

    Raises:
        UserError: no such file or folder, or none of ``CHECKPOINTS`` in it.
    """
    path = Path(path)
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


def load_tensors(path: Path, mapped: bool = False) -> dict[str, Any]:
    """What a PyTorch file holds, read without running anything in it.

    Args:
        path: the file.
        mapped: read from the disk only what is looked at, and check no sums.
    Raises:
        UserError: not such a file, cut short, or with objects that safe loading refuses.
    """
    check_rereadable(path)
    torch.serialization.add_safe_globals([argparse.Namespace])  # fairseq's older checkpoints hold one
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and zipfile.is_zipfile(path))
    except Exception as error:  # pickle, zip and torch raise many types
        if isinstance(error, OSError) and error.filename:  # not of what is in the file
            raise
        raise UserError(
            f"not a readable PyTorch file ({unreadable(error)})", str(path), "copy or save it again"
        ) from error
    if not isinstance(content, dict):
        raise UserError("no dictionary of parameters", str(path), "save the model's state_dict")
    return content
