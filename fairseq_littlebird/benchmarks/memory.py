"""The peak of memory that a run adds to what its process holds. Linux, or an accelerator."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import torch

PROCESS = Path("/proc/self")


def added_peak(run: Callable[[], object], device: str = "cpu") -> int:
    """Bytes that ``run`` adds at its peak, of resident memory or of an accelerator's; best in a fresh process."""
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return int(torch.cuda.max_memory_allocated(device)) - before
    ctypes.CDLL(None).malloc_trim(0)  # what is free but resident would hide as much of the run's
    (PROCESS / "clear_refs").write_text("5")  # the high-water mark starts again from here
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    """A field of /proc/self/status, in bytes."""
    text = (PROCESS / "status").read_text("ascii")
    return int(text.split(f"{key}:")[1].split()[0]) * 1024
