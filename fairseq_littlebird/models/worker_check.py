"""Several workers that know nothing of each other."""

from __future__ import annotations

import os
import sys
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
