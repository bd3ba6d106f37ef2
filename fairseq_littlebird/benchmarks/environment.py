"""What figures depend on: the machine and the libraries."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import torch


def environment(device: str = "cpu") -> dict[str, str]:
    """Names and versions, for the record beside every figure."""
    return {
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": str(len(os.sched_getaffinity(0))),
        "accelerator": torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else "",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": _version("transformers"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
