"""littlebird-launch: fairseq-train for one worker of several, started by torchrun, srun or by hand."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fairseq_littlebird.errors import exit_on_user_error

USAGE = """usage: torchrun --no-python --nproc_per_node=N littlebird-launch FAIRSEQ_TRAIN_ARGUMENTS
       srun littlebird-launch FAIRSEQ_TRAIN_ARGUMENTS
       littlebird-launch FAIRSEQ_TRAIN_ARGUMENTS

Runs fairseq-train with its arguments as one worker of a distributed training. Rank and world size come from torchrun
or SLURM; the backends are nccl and pytorch_ddp on accelerators, gloo and legacy_ddp on CPUs. Options on the command
line take precedence. --user-dir is added if it is missing.

On SIGTERM or SIGUSR1 it saves a checkpoint after the current update and exits with status 128 + the signal's number.
The same command resumes the training, after this and after any other interruption, from the newest complete checkpoint.
"""


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    command_line = list(sys.argv[1:] if arguments is None else arguments)
    if not command_line or command_line[0] in ("-h", "--help"):
        print(USAGE, end="")
        raise SystemExit(0 if command_line else 2)
    _launch(command_line)


def _launch(command_line: list[str]) -> None:
    from fairseq_littlebird.registration import register

    register()  # first, as it keeps fairseq's modules quiet; --user-dir loads nothing of a package that is imported
    import torch
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    from fairseq_littlebird.launching.training import train
    from fairseq_littlebird.launching.workers import options_of, workers_of

    given = {word.partition("=")[0] for word in command_line if word.startswith("--")}
    command_line += options_of(workers_of(os.environ), given, torch.cuda.device_count())
    if "--user-dir" not in given:
        command_line += ["--user-dir", str(Path(__file__).parent.parent)]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), command_line))
    if number := train(cfg):
        raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
