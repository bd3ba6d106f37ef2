"""Several workers that know nothing of each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from fairseq_littlebird.errors import UserError


def check_workers() -> None:
    """Raises UserError under torchrun where fairseq's own command would train once in every worker, in one folder."""
    count = os.environ.get("WORLD_SIZE", "1") if "TORCHELASTIC_RUN_ID" in os.environ else "1"
    program = Path(sys.argv[0]).name
    if count != "1" and program in ("fairseq-train", "fairseq-hydra-train") and not torch.distributed.is_initialized():
        raise UserError(
            f"{count} workers that know nothing of each other would train in one folder",
            f"torchrun {program}",
            "start littlebird-launch with the same arguments",
        )


def check_spawning(command_line: Sequence[str], environment: Mapping[str, str], accelerators: int) -> None:
    """Raises UserError where fairseq-train would start one worker for each accelerator, and there is none.

    It starts none then, trains nothing and ends as if all were well.

    Args:
        command_line: the program and its arguments.
        environment: its variables.
        accelerators: how many this host has.
    """
    workers = _option(command_line, "--distributed-world-size")
    started = (
        "--distributed-no-spawn" in command_line
        or "--tpu" in command_line
        or any(name.startswith("SLURM_") or name == "RANK" for name in environment)
    )
    if Path(command_line[0]).name != "fairseq-train" or accelerators or started:
        return
    if workers.isdecimal() and int(workers) > 1:
        raise UserError(
            f"fairseq-train starts the {workers} workers of --distributed-world-size on accelerators, and none is here",
            remedy=f"start torchrun --no-python --nproc_per_node={workers} littlebird-launch with the same arguments, "
            "without this option",
        )


def _option(command_line: Sequence[str], name: str) -> str:
    """The value of an option, ``--name value`` or ``--name=value``; empty where it is not given."""
    for word, following in zip(command_line, [*command_line[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""
