"""What batches log, added up: a device is asked once an update for all of it, when the update is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def logged(log: dict[str, Any], training: bool) -> dict[str, Any]:
    """What a batch logs: in training as it is, since reading a tensor would hold the host up until the device has done
    all that it was given; else plain numbers."""
    return log if training else logging_sums([log])


def logging_sums(logging_outputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The sum of every key as a plain number, which a checkpoint's meters can hold; lists are joined.

    Args:
        logging_outputs: numbers, lists, and tensors of one number on one device.
    """
    total: dict[str, Any] = {}
    for log in logging_outputs:
        for key, value in log.items():
            wide = value.detach().double().reshape(()) if isinstance(value, Tensor) else value
            total[key] = total[key] + wide if key in total else wide
    asked = [key for key, value in total.items() if isinstance(value, Tensor)]
    if asked:
        total |= dict(zip(asked, torch.stack([total[key] for key in asked]).tolist(), strict=True))
    return total
