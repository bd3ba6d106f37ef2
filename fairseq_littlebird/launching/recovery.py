"""Where a training goes on: the newest checkpoint that is whole."""

from __future__ import annotations

import logging
import os
import zipfile
from pathlib import Path
from typing import Any

import torch

logger = logging.getLogger(__name__)

LAST = "checkpoint_last.pt"


def recover(folder: Path) -> None:
    """Makes ``checkpoint_last.pt`` the newest whole checkpoint, and clears away what was being written.

    fairseq writes one checkpoint whole or not at all, and copies it to its other names; a kill or a full disk can cut
    a copy short. A link takes no space.
    """
    for unfinished in folder.glob("checkpoint*.pt.tmp"):
        unfinished.unlink()
    newest_first = sorted(folder.glob("checkpoint*.pt"), key=lambda path: (path.stat().st_mtime_ns, path.name == LAST))
    for path in reversed(newest_first):
        if not whole(path):
            logger.warning(f"{path}: cut short; left alone")
            continue
        if path.name != LAST:
            logger.warning(f"{path}: the newest whole checkpoint, becomes {LAST}")
            link = folder / f"{LAST}.tmp"
            os.link(path, link)
            os.replace(link, folder / LAST)
        return
    if newest_first and (folder / LAST).exists():
        (folder / LAST).unlink()  # nothing whole: start anew, rather than end with an error each time


def whole(path: Path) -> bool:
    """Whether all of a checkpoint is there, as its checksums have it."""
    try:
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
        "epoch's examples come twice or not at all (exact at an epoch's end alone)"
    )
