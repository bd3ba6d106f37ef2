"""littlebird-launch: fairseq-train for one worker of several, started by torchrun, srun or by hand."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fairseq_littlebird.errors import exit_on_user_error

USAGE = """usage: torchrun --no-python --nproc_per_node=N littlebird-launch FAIRSEQ-TRAIN'S ARGUMENTS
       srun littlebird-launch FAIRSEQ-TRAIN'S ARGUMENTS
       littlebird-launch FAIRSEQ-TRAIN'S ARGUMENTS

Takes fairseq-train's arguments and hands them to fairseq, with what the workers and the hardware ask for: rank and
number of workers as torchrun or SLURM says, nccl and pytorch_ddp on accelerators, gloo and legacy_ddp elsewhere. What
is given stands. --user-dir need not be given.

SIGTERM and SIGUSR1 save a checkpoint after the running update and end with status 128 + the signal's number; the same
command goes on from there. So it does after any other end: it finds the newest checkpoint that is whole.
"""


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
        raise SystemExit(0 if words else 2)
    _launch(words)


def _launch(words: list[str]) -> None:
    import torch
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    from fairseq_littlebird.launching.training import train
    from fairseq_littlebird.launching.workers import options_of, workers_of
    from fairseq_littlebird.registration import register

    register()  # --user-dir loads nothing of a package that is imported
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    words += options_of(workers_of(os.environ), given, torch.cuda.device_count())
    if "--user-dir" not in given:
        words += ["--user-dir", str(Path(__file__).parent.parent)]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
    if number := train(cfg):
        raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
