"""Trainings one after another in this process: ``python workers.py CASES.json``, alone or by each of two workers.

The file has a list of objects with ``words``, littlebird-launch's arguments. Beside each ``--save-dir`` FOLDER stands
``FOLDER.RANK.json`` then: the ids of the examples of each update, the losses, and the parameters without any gradient.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from fairseq.models import distributed_fairseq_model
from fairseq.trainer import Trainer
from torch.nn.parallel import DistributedDataParallel

from fairseq_littlebird.cli.launch import main as launch

SEEN: dict[str, list[Any]] = {}


def step(self: Trainer, samples: Any, raise_oom: bool = False) -> Any:
    """An update, whose examples and losses are written down."""
    SEEN["ids"].append([sample["id"].tolist() for sample in samples if sample])
    output = train_step(self, samples, raise_oom)
    SEEN["losses"].append(output and round(output["loss"], 3))
    unread = [name for name, p in self._model.named_parameters() if p.grad is None or not p.grad.any()]
    SEEN["unread"] = [name for name in unread if name in SEEN.get("unread", unread)]
    return output


def without_devices(*arguments: Any, device_ids: Any, output_device: Any, **options: Any) -> Any:
    """fairseq names a device in any case, which PyTorch refuses on a CPU."""
    return DistributedDataParallel(*arguments, **options)


train_step, Trainer.train_step = Trainer.train_step, step
if not torch.cuda.is_available():
    distributed_fairseq_model.DistributedDataParallel = without_devices
for case in json.loads(Path(sys.argv[1]).read_text()):
    SEEN.clear()
    SEEN.update(ids=[], losses=[])
    launch(case["words"])
    folder = case["words"][case["words"].index("--save-dir") + 1]
    Path(f"{folder}.{os.environ.get('RANK', 0)}.json").write_text(json.dumps(SEEN))
