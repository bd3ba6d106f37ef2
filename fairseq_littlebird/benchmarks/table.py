"""Cells as text for a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fairseq_littlebird.benchmarks.cells import Cell, comparable
from fairseq_littlebird.benchmarks.timing import FLOOR

HEADER = (
    f"{'length':>6} {'mode':<16} {'allocator':<9} {'model':<23} {'ms':>9} {'range':>19} {'x floor':>7} {'x ours':>7} "
    f"{'peak MiB':>8} {'KiB/token':>9} {'B/token/layer':>13}"
)


def line(cell: Cell) -> str:
    """A cell below ``HEADER``."""
    spread = f"[{cell.fastest_ms:.1f} - {cell.slowest_ms:.1f}]"
    memory = " ".join(
        f"{'' if value is None else format(value, '.1f'):>{width}}"
        for value, width in (
            (cell.peak_mib, 8),
            (cell.peak_kib_per_token, 9),
            (cell.peak_bytes_per_token_and_layer, 13),
        )
    )
    return (
        f"{cell.length:>6} {cell.mode:<16} {cell.allocator:<9} {cell.model:<23} {cell.median_ms:>9.1f} {spread:>19} "
        f"{cell.times_floor:>7.2f} {cell.times_ours:>7.2f} {memory} {cell.remark}"
    ).rstrip()


def markdown(cells: Sequence[Cell]) -> str:
    """Times by mode and length, the peers' over ours; then memory, where it was measured; for each of the settings.

    What another allocator gave stands in brackets beside the first one's.
    """
    groups = comparable(cells)
    return "\n\n".join(
        f"{words}\n\n{_markdown(group)}" if words else _markdown(group) for words, group in groups.items()
    )


def _markdown(cells: Sequence[Cell]) -> str:
    """Of one setting."""
    allocators, names = _distinct(c.allocator for c in cells), _distinct(c.model for c in cells)
    ours, peers = names[0], [name for name in names[1:] if name != FLOOR]
    found = {(c.mode, c.length, c.model, c.allocator): c for c in cells}
    rows = _distinct((c.mode, c.length) for c in cells)

    def beside(mode: str, length: int, model: str, column: str) -> str:
        texts: list[str] = []
        for allocator in allocators:
            cell = found.get((mode, length, model, allocator))
            value = None if cell is None else getattr(cell, column)
            if value is not None:
                digits = ".2f" if column.startswith("times") else ".0f" if value >= 100 else ".1f"
                texts.append(f"{value:{digits}}" if not texts else f"[{value:{digits}}]")
        return " ".join(texts)

    def table(first: Sequence[str], columns: Sequence[tuple[str, str]]) -> Iterator[str]:
        yield "| " + " | ".join(["mode", "length", *first]) + " |"
        yield "|" + "---|" * (2 + len(first))
        for mode, length in rows:
            texts = [beside(mode, length, *column) for column in columns]
            yield "| " + " | ".join([mode, f"{length:,}", *texts]) + " |"

    lines = list(
        table(
            [f"{ours}, ms", "over the floor", *(f"{peer} / {ours}" for peer in peers)],
            [(ours, "median_ms"), (ours, "times_floor"), *((peer, "times_ours") for peer in peers)],
        )
    )
    for unit, column in (
        ("MiB", "peak_mib"),
        ("KiB a token", "peak_kib_per_token"),
        ("bytes a token and layer", "peak_bytes_per_token_and_layer"),
    ):
        if any(getattr(c, column) is not None for c in cells):
            models = [ours, *peers]
            lines += ["", *table([f"{model}, {unit}" for model in models], [(model, column) for model in models])]
    return "\n".join(lines)


def _distinct(values: Iterable) -> list:  # type: ignore[type-arg]
    return list(dict.fromkeys(values))
