"""A training by all its workers, from the newest whole checkpoint to its end or to a signal."""

from __future__ import annotations

import logging
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from fairseq.distributed import utils as distributed_utils
from fairseq_cli import train as fairseq_train
from torch.multiprocessing.spawn import ProcessExitedException

from fairseq_littlebird.launching import recovery
from fairseq_littlebird.launching.interruption import INTERRUPTION, InterruptibleTrainer
from fairseq_littlebird.signals import interruptible

logger = logging.getLogger(__name__)


def train(cfg: Any) -> int:
    """Trains, in this process or in those that fairseq starts.

    Args:
        cfg: fairseq's configuration.

    Returns:
        the signal that ended it, 0 for none.
    """
    INTERRUPTION.listen(relay=True)
    _meet(cfg.distributed_training)
    try:
        distributed_utils.call_main(cfg, _train_one)
    except ProcessExitedException:  # of a worker that a signal ended before it trained
        if not INTERRUPTION.signal:
            raise
    return INTERRUPTION.signal


def _meet(workers: Any) -> None:
    """Waits for the other workers, where this process is one of several; a signal ends the waiting.

    fairseq would wait in C++, where no signal is heard for half an hour; it takes workers that have met as they are.

    Args:
        workers: fairseq's ``DistributedTrainingConfig``.
    """
    if (
        workers.distributed_init_method is None
        or not workers.distributed_no_spawn
        or workers.distributed_world_size < 2
        or torch.distributed.is_initialized()  # by an earlier training of this process
    ):
        return
    size, where = workers.distributed_world_size, workers.distributed_init_method
    logger.info(f"worker {workers.distributed_rank} of {size} waits for the others at {where}")
    interruptible(
        partial(
            torch.distributed.init_process_group,
            backend=workers.distributed_backend,
            init_method=where,
            world_size=size,
            rank=workers.distributed_rank,
        )
    )
    warnings.filterwarnings("ignore", message="Distributed is already initialized")


def _train_one(cfg: Any) -> None:
    """One worker's training."""
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
