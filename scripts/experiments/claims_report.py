"""Figures and curves of claims.py, for docs/experiments/."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any


def report(out: Path, docs: Path) -> None:
    """Writes ``curves.json`` of all trainings so far, and prints their last validation."""
    curves = {path.stem: curve(path.read_text(errors="replace")) for path in sorted((out / "logs").glob("*@*.log"))}
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "curves.json").write_text(json.dumps(curves, indent=1, sort_keys=True) + "\n")
    for name, points in curves.items():
        print(name, points[-1] if points else "no validation yet")


def curve(log: str) -> list[dict[str, Any]]:
    """The validations of a training's log: its JSON lines that have ``valid_num_updates``."""
    lines = map(json.loads, re.findall(r"\| (\{\".*\})$", log, re.MULTILINE))
    return [{k: number(v) for k, v in line.items()} for line in lines if "valid_num_updates" in line]


def number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value
