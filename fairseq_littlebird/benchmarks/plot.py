"""Time and memory by length, a line a model."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_littlebird.benchmarks.architectures import ETC, OF_GLOBALS, OF_PEERS
from fairseq_littlebird.benchmarks.cells import Cell, comparable
from fairseq_littlebird.benchmarks.timing import FLOOR
from fairseq_littlebird.benchmarks.workload import MODES
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.output import whole_file

INSTALL = "pip install matplotlib, which the package's extra benchmark has, too: pip install '.[benchmark]'"
TITLES = {MODES[1]: "training", MODES[0]: "inference"}


def load_matplotlib() -> Any:
    """``matplotlib.pyplot``, drawing to files.

    Raises:
        UserError: it is not installed.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # fairseq lets all levels through
    try:
        import matplotlib
    except ImportError as error:
        raise UserError("--plot needs matplotlib", remedy=INSTALL) from error
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
    save((_whole_models if cells[0].benchmark == "efficiency" else _a_token)(cells, pyplot), path)


def save(figure: Any, path: Path, dpi: int = 150) -> None:
    """Writes a figure and closes it; its kind follows from the name.

    Raises:
        UserError: of a kind that matplotlib does not draw.
    """
    try:
        with whole_file(path, overwrite=True) as new:
            figure.savefig(new, dpi=dpi)
    except ValueError as error:
        raise UserError("not the name of a picture file", str(path), "end it in .png, .svg or .pdf") from error
    finally:
        load_matplotlib().close(figure)


def _a_token(cells: Sequence[Cell], pyplot: Any) -> Any:
    """Time above memory a token, a column a mode."""
    modes = list(dict.fromkeys(cell.mode for cell in cells))
    memory = any(cell.peak_kib_per_token is not None for cell in cells)
    figure, axes = pyplot.subplots(1 + memory, len(modes), squeeze=False, figsize=(5 * len(modes), 4 * (1 + memory)))
    for column, mode in enumerate(modes):
        for model in dict.fromkeys(cell.model for cell in cells):
            of_model = _line(cells, model, mode)
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
        _lengths(axis, cells)
        axis.legend()
    figure.tight_layout()
    return figure


def _whole_models(cells: Sequence[Cell], pyplot: Any) -> Any:
    """Figure 3: peak memory above latency, training beside inference; bars from the fastest to the slowest run."""
    from matplotlib.ticker import LogLocator

    models = [model for model in dict.fromkeys(cell.model for cell in cells) if model != FLOOR]
    titles = {mode: title for mode, title in TITLES.items() if any(cell.mode == mode for cell in cells)}
    memory = any(cell.peak_mib is not None for cell in cells)
    figure, axes = pyplot.subplots(
        1 + memory, len(titles), squeeze=False, figsize=(5 * len(titles), 4 * (1 + memory)), layout="constrained"
    )
    styles = _styles(models)
    for column, (mode, title) in enumerate(titles.items()):
        for model in models:
            of_model = _line(cells, model, mode)
            lengths = [cell.length for cell in of_model]
            medians = [cell.median_ms / 1e3 for cell in of_model]
            below = [(cell.median_ms - cell.fastest_ms) / 1e3 for cell in of_model]
            above = [(cell.slowest_ms - cell.median_ms) / 1e3 for cell in of_model]
            axes[-1, column].errorbar(lengths, medians, (below, above), capsize=3, label=model, **styles[model])
            if memory:
                peaks = [cell.peak_mib / 2**10 if cell.peak_mib is not None else math.nan for cell in of_model]
                axes[0, column].plot(lengths, peaks, **styles[model])
        axes[-1, column].set(title=f"latency, {title}", ylabel="seconds")
        if memory:
            axes[0, column].set(title=f"peak memory, {title}", ylabel="GiB")
    for axis in axes.flat:
        _lengths(axis, cells)
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.grid(alpha=0.3)
    figure.legend(*axes[-1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _styles(models: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Ours and transformers' of a name in one colour, theirs dashed; ETC grey, the darker the more global tokens."""
    etc = [model for model in models if model.startswith(f"{ETC}{OF_GLOBALS}")]
    rest = list(dict.fromkeys(model.removeprefix(OF_PEERS) for model in models if model not in etc))
    styles: dict[str, dict[str, Any]] = {}
    for model in models:
        styles[model] = {"marker": "s", "linestyle": "--"} if model.startswith(OF_PEERS) else {"marker": "o"}
        styles[model]["markersize"] = 4
        if model in etc:
            styles[model]["color"] = str(0.75 * (1 - (etc.index(model) + 1) / len(etc)))
        else:
            styles[model]["color"] = f"C{rest.index(model.removeprefix(OF_PEERS))}"
    return styles


def _line(cells: Sequence[Cell], model: str, mode: str) -> list[Cell]:
    """A model's cells of one mode, by length."""
    return sorted((c for c in cells if (c.model, c.mode) == (model, mode)), key=lambda c: c.length)


def _lengths(axis: Any, cells: Sequence[Cell]) -> None:
    """Both axes logarithmic, a tick for each length."""
    axis.set(xlabel="length, tokens", xscale="log", yscale="log")
    ticks = sorted({cell.length for cell in cells})
    axis.set_xticks(ticks, [f"{length:,}" for length in ticks])
    axis.minorticks_off()
