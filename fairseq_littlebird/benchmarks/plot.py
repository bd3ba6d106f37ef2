"""Time and memory a token by length, a line a model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_littlebird.benchmarks.cells import Cell, comparable
from fairseq_littlebird.benchmarks.timing import FLOOR
from fairseq_littlebird.errors import UserError


def load_matplotlib() -> Any:
    """``matplotlib.pyplot``, drawing to files.

    Raises:
        UserError: it is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UserError("--plot needs matplotlib", remedy="pip install matplotlib, or leave out --plot") from error
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # fairseq lets all levels through
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw(cells: Sequence[Cell], path: Path) -> None:
    """A picture of the first allocator's cells: a column a mode, times above memory; its kind follows from the name.

    Raises:
        UserError: without matplotlib, of a kind it does not draw, or of cells that cannot be compared.
    """
    groups = comparable(cells)
    if len(groups) > 1:
        raise UserError(f"figures of several settings: {'; '.join(groups)}", str(path), "draw one setting at a time")
    pyplot = load_matplotlib()
    cells = [cell for cell in cells if cell.allocator == cells[0].allocator]
    modes = list(dict.fromkeys(cell.mode for cell in cells))
    memory = any(cell.peak_kib_per_token is not None for cell in cells)
    figure, axes = pyplot.subplots(1 + memory, len(modes), squeeze=False, figsize=(5 * len(modes), 4 * (1 + memory)))
    for column, mode in enumerate(modes):
        for model in dict.fromkeys(cell.model for cell in cells):
            of_model = sorted((c for c in cells if (c.model, c.mode) == (model, mode)), key=lambda c: c.length)
            lengths = [cell.length for cell in of_model]
            style = "k--" if model == FLOOR else "o-"
            times = [1e3 * cell.median_ms / (cell.length * cell.batch) for cell in of_model]
            axes[0, column].plot(lengths, times, style, label=model)
            if memory and model != FLOOR:
                axes[1, column].plot(lengths, [cell.peak_kib_per_token for cell in of_model], style, label=model)
        axes[0, column].set(title=mode, ylabel="µs a token")
        if memory:
            axes[1, column].set(ylabel="KiB a token")
    for axis in axes.flat:
        axis.set(xlabel="length, tokens", xscale="log", yscale="log")
        ticks = sorted({cell.length for cell in cells})
        axis.set_xticks(ticks, [f"{length:,}" for length in ticks])
        axis.minorticks_off()
        axis.legend()
    figure.tight_layout()
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise UserError("no kind of picture by this name", str(path), "end it in .png, .svg or .pdf") from error
    finally:
        pyplot.close(figure)
