"""The device that a user names."""

from __future__ import annotations

import torch

from fairseq_littlebird.errors import UserError, first_line

NAMES = "cpu, cuda, cuda:N (N from 0), or another accelerator that PyTorch is built for"


def check_device(name: str) -> None:
    """Raises UserError where PyTorch knows no such device, or it is not here."""
    try:
        torch.device(name)
    except (RuntimeError, ValueError) as error:  # with the names of all that PyTorch could ever be built for
        raise UserError(f"unknown device {name!r}", remedy=f"choose {NAMES}") from error
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # as the backend has it
        raise UserError(
            f"no device {name!r} ({first_line(error)})", remedy="choose cpu, or one that is here"
        ) from error
