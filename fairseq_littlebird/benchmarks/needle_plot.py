"""The needle's figure: F1 by length and depth, a panel a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairseq_littlebird.benchmarks.needle import Row
from fairseq_littlebird.benchmarks.plot import load_matplotlib, save


def draw(rows: Sequence[Row], path: Path) -> None:
    """Writes the figure, whose kind follows from the name: lengths go right, depths go down.

    Raises:
        UserError: without matplotlib, or of a kind it does not draw.
    """
    pyplot = load_matplotlib()
    models = list(dict.fromkeys(row.model for row in rows))
    lengths, depths = sorted({row.length for row in rows}), sorted({row.depth for row in rows})
    figure, axes = pyplot.subplots(
        1,
        len(models),
        squeeze=False,
        figsize=((0.6 * len(lengths) + 0.8) * len(models) + 1, 0.45 * len(depths) + 1.4),
        layout="constrained",
        sharey=True,
    )
    image = None
    for axis, model in zip(axes[0], models, strict=True):
        scores = {(row.length, row.depth): row.f1 for row in rows if row.model == model}
        values = [[scores.get((length, depth), float("nan")) for length in lengths] for depth in depths]
        image = axis.imshow(values, vmin=0, vmax=100, cmap="viridis", aspect="auto")
        for (length, depth), score in scores.items():
            at = lengths.index(length), depths.index(depth)
            axis.text(
                *at, f"{score:.0f}", ha="center", va="center", fontsize=7, color="black" if score > 60 else "white"
            )
        axis.set_title(model, fontsize=8)
        axis.set_xticks(range(len(lengths)), [_short(length) for length in lengths], fontsize=7)
        axis.set_yticks(range(len(depths)), [f"{depth:.0%}" for depth in depths], fontsize=7)
    figure.supxlabel("tokens of the document", fontsize=8)
    figure.supylabel("depth of the paragraph", fontsize=8)
    bar = figure.colorbar(image, ax=axes, pad=0.01)
    bar.set_label("F1", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    save(figure, path)


def _short(tokens: int) -> str:
    return f"{tokens // 1024}K" if tokens % 1024 == 0 else f"{tokens:,}"
