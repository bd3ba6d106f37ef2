"""PyTorch files, read without running anything in them."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path
from typing import Any

import torch

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inputs import check_rereadable


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
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"not a readable PyTorch file ({reason})", str(path), "copy or save it again") from error
    if not isinstance(content, dict):
        raise UserError("no dictionary of parameters", str(path), "save the model's state_dict")
    return content
