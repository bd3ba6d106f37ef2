"""The model inside the wrappers of distributed training."""

from __future__ import annotations

from typing import Any

from torch import nn


def unwrapped(model: Any) -> nn.Module:
    """The model that is wrapped, once or twice, for several workers."""
    while hasattr(model, "module"):
        model = model.module
    found: nn.Module = model
    return found
