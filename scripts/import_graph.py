"""Draws which folders of the package import which: ``python scripts/import_graph.py docs/import_graph.svg``.

Floors are those of the contract in setup.cfg, the top one first; an arrow leads from a folder to one that it imports.
Arrows that follow from others are left out: where A imports B and B imports C, none is drawn from A to C. So are the
modules that all may import.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from pathlib import Path

PACKAGE = "fairseq_littlebird"
FREE = {"errors", "exporting", "input_error", "inputs", "output", "signals"}
ROOT = Path(__file__).resolve().parents[1]
COLUMN, ROW, WIDTH, HEIGHT = 190, 84, 150, 34


def floors(setup: Path = ROOT / "setup.cfg") -> list[list[str]]:
    """The folders and modules of each floor, from the top."""
    config = ConfigParser()
    config.read(setup, "utf-8")
    rows = [line.replace(" ", "").split("|") for line in config["importlinter:contract:flow"]["layers"].split("\n")]
    return [row for row in rows if row != [""] and not FREE.issuperset(row)]


def imports(names: Sequence[str]) -> dict[str, set[str]]:
    """What each of ``names`` imports of the others, directly or by a module that is none of them."""
    sys.path.insert(0, str(ROOT))  # this checkout's, whatever is installed
    import grimp  # --help needs no package

    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    found: dict[str, set[str]] = {name: set() for name in names}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            top, below = (module.split(".")[1] if "." in module else "" for module in (importer, imported))
            if top != below and top in found and below in found:
                found[top].add(below)
    return found


def reduced(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The edges that do not follow from others; the graph has no cycles."""

    def below(name: str) -> set[str]:
        return edges[name].union(*map(below, edges[name]))

    return {name: reached - set().union(*map(below, reached)) for name, reached in edges.items()}


def picture(rows: Sequence[Sequence[str]], edges: Mapping[str, set[str]]) -> str:
    """An SVG: a row of boxes a floor, an arrow an edge."""
    width, height = max(map(len, rows)) * COLUMN + 150, len(rows) * ROW
    at = {
        name: (width / 2 + (index - (len(row) - 1) / 2) * COLUMN + (-70, 0, 70, 0)[number % 4], number * ROW + 30)
        for number, row in enumerate(rows)
        for index, name in enumerate(row)
    }
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="14">',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#667"/></marker></defs>',
    ]
    for name, reached in edges.items():
        for other in sorted(reached):
            (x, y), (to_x, to_y) = at[name], at[other]
            bend = (to_y - y) / ROW * 16 * (1 if to_x >= x else -1)
            lines.append(
                f'<path d="M{x:.0f} {y + HEIGHT / 2:.0f} Q{(x + to_x) / 2 + bend:.0f} {(y + to_y) / 2:.0f} '
                f'{to_x:.0f} {to_y - HEIGHT / 2:.0f}" fill="none" stroke="#667" marker-end="url(#head)"/>'
            )
    for name, (x, y) in at.items():
        lines.append(
            f'<rect x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="5" '
            f'fill="#eef" stroke="#446"/><text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">{name}</text>'
        )
    return "\n".join([*lines, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="file to write, e.g. docs/import_graph.svg")
    out = parser.parse_args().out
    rows = floors()
    edges = imports([name for row in rows for name in row])
    out.write_text(picture(rows, reduced(edges)), "utf-8")


if __name__ == "__main__":
    main()
