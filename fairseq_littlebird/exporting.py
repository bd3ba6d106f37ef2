"""Whether a graph is being made for programs that know none of the operators here; needs torch alone."""

from __future__ import annotations

import torch


def is_exporting() -> bool:
    """Whether torch.export is tracing, for ONNX or other runtimes: operators of torch alone may then be used."""
    tracing = getattr(torch.compiler, "is_exporting", None)  # torch 2.7
    return tracing is not None and bool(tracing())
