"""Which precisions this processor is slow in."""

from __future__ import annotations

import logging
import time
from functools import cache

import torch
import torch.nn.functional as F

from fairseq_littlebird.layer_norm import HALF

SLOW = 1.5
"""Times the duration in float32 from which a precision gains nothing."""
ROUNDS = 5
logger = logging.getLogger(__name__)


@cache
def relative_duration(dtype: torch.dtype) -> float:
    """Of a linear layer of 512 units over 256 tokens on this CPU, divided by that in float32.

    Measured in a tenth of a second, because processors differ in their instructions; the best of several rounds counts.
    """
    fastest = {torch.float32: float("inf"), dtype: float("inf")}
    for _ in range(ROUNDS):
        for each in fastest:
            x, w = torch.ones(256, 512, dtype=each), torch.ones(512, 512, dtype=each)
            begun = time.perf_counter()
            F.linear(x, w)
            fastest[each] = min(fastest[each], time.perf_counter() - begun)
    return fastest[dtype] / fastest[torch.float32]


@cache
def warn_if_slow(dtype: torch.dtype, device: torch.device) -> None:
    """Logs a warning, once, where half precision takes longer than float32 does."""
    if device.type == "cpu" and dtype in HALF and (times := relative_duration(dtype)) > SLOW:
        name = str(dtype).removeprefix("torch.")
        logger.warning("%s takes %.0f times as long as float32 on this processor: choose float32", name, times)
