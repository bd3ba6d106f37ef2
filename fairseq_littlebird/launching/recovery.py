"""Where a training goes on: the newest checkpoint that is whole."""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch

logger = logging.getLogger(__name__)

LAST = "checkpoint_last.pt"


def recover(folder: Path) -> None:
    """Makes ``checkpoint_last.pt`` the newest whole checkpoint, and clears away what was being written.

    fairseq writes one checkpoint whole or not at all, and copies it to its other names; a kill or a full disk can cut
    a copy short. A last one that is whole stays unless a newer one has more updates: others are as new where the folder
    was copied, or the user made one, such as an average. Where none is whole all stay as they are, and fairseq says
    what is wrong with the last.

    Raises:
        OSError: no room for a copy.
    """
    for unfinished in folder.glob("checkpoint*.pt.tmp"):
        unfinished.unlink()
    last = folder / LAST
    by_age = sorted(folder.glob("checkpoint*.pt"), key=lambda path: (path.stat().st_mtime_ns, path.name == LAST))
    for path in reversed(by_age):
        if path != last and _goes_no_further(path, last):
            continue
        if not whole(path):
            logger.warning(f"{path}: cut short; left alone")
            continue
        if path != last:
            logger.warning(f"{path}: the newest whole checkpoint, becomes {LAST}")
            copy = folder / f"{LAST}.tmp"
            shutil.copyfile(path, copy)  # no link: fairseq writes into the last one in place
            os.replace(copy, folder / LAST)
        return


def _goes_no_further(path: Path, last: Path) -> bool:
    """Whether the last checkpoint is whole and known to have as many updates as another."""
    here, there = _updates(path), _updates(last)
    return here is not None and there is not None and here <= there and whole(last)


def _updates(path: Path) -> int | None:
    """How many a checkpoint was made after; None where it does not say."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return int(state["optimizer_history"][-1]["num_updates"])
    except Exception:  # damaged, or not fairseq's
        return None


def whole(path: Path) -> bool:
    """Whether all of a checkpoint is there, as its checksums have it; those before PyTorch 1.6 have none, and pass."""
    try:
        with path.open("rb") as file:
            start = file.read(2)
        if start and start != b"PK":
            return True
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, OSError):
        return False


def other_workers(path: Path, workers: int) -> str | None:
    """A warning where a checkpoint from the middle of an epoch was made by another number of workers.

    Args:
        path: a checkpoint.
        workers: how many there are now.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        before = state["cfg"]["distributed_training"]["distributed_world_size"]
        epoch = state["extra_state"]["train_iterator"]
    except Exception:  # fairseq loads it next, and says what is wrong with it
        return None
    if before == workers or not epoch["iterations_in_epoch"]:
        return None
    return (
        f"{path}: made in the middle of epoch {epoch['epoch']} by {before} workers, and {workers} go on; some of this "
        "epoch's examples come twice or not at all (exact only at an epoch's end)"
    )
