"""A training by all its workers, from the newest whole checkpoint to its end or to a signal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from fairseq.distributed import utils as distributed_utils
from fairseq_cli import train as fairseq_train

import fairseq_littlebird.registration  # noqa: F401
from fairseq_littlebird.launching import recovery
from fairseq_littlebird.launching.interruption import INTERRUPTION, InterruptibleTrainer


def train(cfg: Any) -> int:
    """Trains, in this process or in those that fairseq starts.

    Args:
        cfg: fairseq's configuration.

    Returns:
        the signal that ended it, 0 for none.
    """
    INTERRUPTION.listen(relay=True)
    distributed_utils.call_main(cfg, _train_one)
    return INTERRUPTION.signal


def _train_one(cfg: Any) -> None:
    """One worker's training."""
    INTERRUPTION.listen()
    folder, workers = Path(cfg.checkpoint.save_dir), cfg.distributed_training
    if cfg.checkpoint.restore_file == recovery.LAST:
        if workers.distributed_rank == 0 and folder.is_dir():
            recovery.recover(folder)
            last = folder / recovery.LAST
            if last.exists() and (warning := recovery.other_workers(last, workers.distributed_world_size)):
                recovery.logger.warning(warning)
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
    fairseq_train.Trainer = InterruptibleTrainer  # main names it and takes no other
    fairseq_train.main(cfg)
