"""Figures and curves of claims.py, for docs/experiments/."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fairseq_littlebird.benchmarks.plot import load_matplotlib, save


def report(out: Path, docs: Path, batch: int) -> None:
    """Writes ``curves.json`` of all trainings so far and draws them, and prints their last validation.

    Args:
        out: the folder of the runs.
        docs: where to write.
        batch: tokens of an update.
    """
    logs = [path for path in sorted((out / "logs").glob("*@*.log")) if not path.stem.startswith(("measure-", "keep-"))]
    curves = {path.stem: curve(path.read_text(errors="replace")) for path in logs}
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "curves.json").write_text(json.dumps(curves, indent=1, sort_keys=True) + "\n")
    for name, points in curves.items():
        print(name, points[-1] if points else "no validation yet")
    draw(curves, batch, docs / "curves.png")


def draw(curves: dict[str, list[dict[str, Any]]], batch: int, path: Path) -> None:
    """The loss on held-out text by tokens: masked language modelling, and recurring spans."""
    pyplot = load_matplotlib()
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, points in curves.items():
        axis = axes[int("spans" in name or name[0] in "24")]
        millions = [point["valid_num_updates"] * batch / 1e6 for point in points]
        # of distillation, the task's own loss
        bits = [point.get("valid_hard_loss", point["valid_loss"]) for point in points]
        axis.plot(millions, bits, "o-", markersize=4, label=name.split("@")[0])
    for axis, title in zip(axes, ("masked language modelling", "recurring span selection"), strict=True):
        axis.set(title=title, xlabel="million tokens", ylabel="bits, held-out text")
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend()
    save(figure, path)


def curve(log: str) -> list[dict[str, Any]]:
    """The validations of a training's log: its JSON lines that have ``valid_num_updates``."""
    lines = map(json.loads, re.findall(r"\| (\{\".*\})$", log, re.MULTILINE))
    return [{k: number(v) for k, v in line.items()} for line in lines if "valid_num_updates" in line]


def number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value
