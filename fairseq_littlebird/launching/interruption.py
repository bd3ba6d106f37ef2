"""A training that is told to stop saves first.

fairseq has no ear for signals: its trainer gets one here, and all workers stop after the same update.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from types import FrameType
from typing import Any

import torch
from fairseq.distributed import utils as distributed_utils
from fairseq.trainer import Trainer
from omegaconf import open_dict
from torch import Tensor

from fairseq_littlebird.signals import Ended

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # SLURM sends what --signal names, before the time is over


class Interruption:
    """The signal that came, if any."""

    def __init__(self) -> None:
        self.signal = self.process = 0
        self.relay = False

    def listen(self, relay: bool = False) -> None:
        """Hears what comes to this process from now on.

        Args:
            relay: pass it on to the processes that this one started, its workers; where there are none, nothing has
                been trained yet, and it ends this process.
        """
        self.process, self.relay = os.getpid(), relay
        for number in SIGNALS:
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:  # processes that load data inherit the handler
            return
        self.signal = number
        if self.relay:
            workers = [child.pid for child in multiprocessing.active_children() if child.pid]  # None before it starts
            for worker in workers:
                os.kill(worker, number)
            if not workers:
                raise Ended(number)


INTERRUPTION = Interruption()


class OnItsWay:
    """A number on a device that is copied to the host while the device goes on.

    Args:
        number: <integer>[1].
    """

    def __init__(self, number: Tensor) -> None:
        self.number = number
        self.arrived: torch.cuda.Event | None = None
        if number.device.type == "cuda":
            self.number = torch.empty_like(number, device="cpu", pin_memory=True)
            self.number.copy_(number, non_blocking=True)
            self.arrived = torch.cuda.Event()
            self.arrived.record()

    def read(self) -> int:
        """The number; waits until it has arrived."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return int(self.number)


class InterruptibleTrainer(Trainer):
    """fairseq's trainer, which ends after the update during which it was told to; several workers, all of them after
    the next one: whether another was told is asked during an update and read during the one that follows."""

    told: OnItsWay | None = None

    def __init__(self, cfg: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(cfg, *arguments, **options)
        INTERRUPTION.listen()  # before, there was nothing to save
        self.wanted = cfg.optimization.max_update, cfg.dataset.disable_validation

    def train_step(self, samples: Any, raise_oom: bool = False) -> Any:
        output = super().train_step(samples, raise_oom)
        number = self.heard()
        if number:
            INTERRUPTION.signal = number
            logger.warning(f"{signal.Signals(number).name}: saving after {self.get_num_updates()} updates")
            with open_dict(self.cfg):  # what fairseq looks at after each update
                self.cfg.optimization.max_update = max(1, self.get_num_updates())
                self.cfg.dataset.disable_validation = True
        return output

    def heard(self) -> int:
        """The signal that any of the workers heard, before this update where there are several; 0 for none."""
        if self.data_parallel_world_size == 1:
            return INTERRUPTION.signal
        heard = torch.full((1,), INTERRUPTION.signal, device=self.device)
        before, group = self.told, self.data_parallel_process_group
        self.told = OnItsWay(distributed_utils.all_reduce(heard, group, op="max"))
        return 0 if before is None else before.read()

    def state_dict(self) -> dict[str, Any]:
        """The options as they were given, and not as an interruption left them."""
        state: dict[str, Any] = super().state_dict()
        state["cfg"]["optimization"]["max_update"], state["cfg"]["dataset"]["disable_validation"] = self.wanted
        return state
