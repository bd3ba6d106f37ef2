"""Who a process is among its workers, as torchrun or SLURM tells it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from fairseq_littlebird.errors import UserError

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
SLURM = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
FIRST_PORT, PORTS = 20000, 20000  # of SLURM jobs, by their number


class Workers(NamedTuple):
    """One of several."""

    rank: int
    size: int
    local_rank: int  # on its own host
    init_method: str  # where they meet, as torch.distributed takes it


def workers_of(environment: Mapping[str, str]) -> Workers | None:
    """What torchrun's or SLURM's variables say; None for a process by itself.

    Raises:
        UserError: variables that are not numbers, or SLURM without a list of its hosts.
    """
    if all(name in environment for name in TORCHRUN):
        rank, size, local_rank = (_number(environment, name) for name in TORCHRUN[:3])
        return Workers(rank, size, local_rank, "env://")
    # a batch script's own shell is a task by itself
    if all(name in environment for name in SLURM) and _number(environment, "SLURM_NTASKS") > 1:
        rank, size, local_rank = (_number(environment, name) for name in SLURM)
        return Workers(rank, size, local_rank, f"tcp://{_first_host(environment)}:{_port(environment)}")
    return None


def _first_host(environment: Mapping[str, str]) -> str:
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST")
    if not nodes:
        raise UserError("SLURM names no hosts", "SLURM_JOB_NODELIST", "start the command with srun")
    try:
        names = subprocess.run(["scontrol", "show", "hostnames", nodes], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        remedy = "give --distributed-init-method tcp://HOST:PORT yourself"
        raise UserError(f"scontrol does not tell the hosts of {nodes}", "SLURM", remedy) from error
    return names.stdout.split()[0]


def _port(environment: Mapping[str, str]) -> int:
    """The same for all tasks of a job, another for other jobs."""
    return FIRST_PORT + _number(environment, "SLURM_JOB_ID", "0") % PORTS


def _number(environment: Mapping[str, str], name: str, default: str = "") -> int:
    text = environment.get(name, default)
    if not text.isdecimal():
        raise UserError(f"expected a number, got {text!r}", name, "unset it, or start with torchrun or srun")
    return int(text)


def options_of(workers: Workers | None, given: set[str], accelerators: int) -> list[str]:
    """The options of fairseq-train that suit the workers and the hardware, without those that were given.

    Args:
        workers: who this is, or None.
        given: option names on the command line, without their values.
        accelerators: how many this host has; with ``--cpu`` none is used.

    Raises:
        UserError: where the workers meet is given, and not who this one is.
    """
    if workers is None and "--distributed-init-method" in given:
        lacking = [option for option in ("--distributed-world-size", "--distributed-rank") if option not in given]
        if lacking:
            remedy = f"give {' and '.join(lacking)}, too, or start it with torchrun or srun"
            raise UserError(
                "says where workers meet, but not which of them this is", "--distributed-init-method", remedy
            )
    on_cpu = not accelerators or "--cpu" in given
    chosen: list[tuple[str, ...]] = []
    if on_cpu:
        chosen.append(("--cpu",))
    else:  # a layer that is dropped, or a loss that does not read all, would stop pytorch_ddp
        chosen.append(("--find-unused-parameters",))
    if workers is None and "--distributed-init-method" not in given:
        if on_cpu:  # fairseq would count no device, and spawn none
            chosen.append(("--distributed-world-size", "1"))
        return _missing(chosen, given)
    if workers is not None:
        chosen += [
            ("--distributed-world-size", str(workers.size)),
            ("--distributed-rank", str(workers.rank)),
            ("--distributed-init-method", workers.init_method),
        ]
    device = 0 if on_cpu or workers is None else workers.local_rank % accelerators
    chosen += [
        ("--device-id", str(device)),
        ("--distributed-no-spawn",),
        ("--distributed-backend", "gloo" if on_cpu else "nccl"),
        ("--ddp-backend", "legacy_ddp" if on_cpu else "pytorch_ddp"),
        ("--load-checkpoint-on-all-dp-ranks",),  # to broadcast one, fairseq pickles types that safe loading refuses
    ]
    return _missing(chosen, given)


def _missing(options: list[tuple[str, ...]], given: set[str]) -> list[str]:
    return [word for option in options if option[0] not in given for word in option]
