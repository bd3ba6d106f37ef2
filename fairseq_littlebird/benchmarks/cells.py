"""One figure of a comparison with all that it depends on, and the CSV files that keep them."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_littlebird.errors import UserError


@dataclass(frozen=True)
class Cell:
    """One model, mode, length and allocator. ``None`` (in CSV nothing): not measured."""

    benchmark: str  # attention, encoder or efficiency
    model: str
    mode: str
    length: int
    batch: int
    padding: float
    layers: int
    width: int
    heads: int
    ffn_width: int
    pack_size: int
    block_size: int
    dtype: str
    dropout: float
    compiled: bool
    vocabulary: int
    device: str
    threads: int
    allocator: str
    rounds: int
    median_ms: float
    fastest_ms: float
    slowest_ms: float
    floor_ms: float
    times_floor: float  # this median over the floor's
    times_ours: float  # this median over that of the model named first, ours
    peak_mib: float | None  # beyond weights, gradients and inputs; efficiency's with weights and gradients
    peak_kib_per_token: float | None
    peak_bytes_per_token_and_layer: float | None  # from two numbers of layers
    remark: str
    processor: str
    instructions: str
    cores: str
    accelerator: str
    python: str
    torch: str
    transformers: str


FIELDS = dataclasses.fields(Cell)
SETTINGS = (
    *("benchmark", "batch", "padding", "layers", "width", "heads", "ffn_width", "pack_size", "block_size"),
    *("dtype", "dropout", "compiled", "vocabulary", "device", "threads"),
)  # where cells agree in these, they can be compared
COLUMNS = [field.name for field in FIELDS]


def comparable(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells that agree in ``SETTINGS``, under words for the settings in which not all cells agree."""
    values = [[getattr(cell, name) for name in SETTINGS] for cell in cells]
    differ = [n for n, of_all in enumerate(zip(*values, strict=True)) if len(set(of_all)) > 1]
    groups: dict[str, list[Cell]] = {}
    for cell, of_cell in zip(cells, values, strict=True):
        groups.setdefault(", ".join(f"{SETTINGS[n]} {of_cell[n]}" for n in differ), []).append(cell)
    return groups


def append(path: Path, cells: Sequence[Cell]) -> None:
    """Adds rows to a CSV file, which may not be there yet: one call can measure one length, the next another.

    Raises:
        UserError: the file is there and has other columns.
    """
    check(path)
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        for cell in cells:
            writer.writerow({name: "" if value is None else value for name, value in dataclasses.asdict(cell).items()})


def check(path: Path) -> None:
    """Raises the UserError of :func:`append` before the work that makes the rows."""
    check_folder(path)
    if path.exists():
        read(path)


def check_folder(path: Path) -> None:
    """Raises a UserError where no file can be."""
    if path.is_dir() or not path.parent.is_dir():
        raise UserError("cannot be written", str(path), "name a file in a folder that is there")


def write_json(path: Path, cells: Sequence[Cell]) -> None:
    """A list with an object for each cell, under the names of the columns.

    Raises:
        UserError: there is no such folder.
    """
    check_folder(path)
    path.write_text(json.dumps([dataclasses.asdict(cell) for cell in cells], indent=1) + "\n", "utf-8")


def read(path: Path) -> list[Cell]:
    """The rows that :func:`append` wrote.

    Raises:
        UserError: not such a file, or without rows.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise UserError("not a file of this benchmark", str(path), "give a CSV file that --csv wrote")
        rows = list(reader)
    if not rows:
        raise UserError("no figures in it", str(path), "remove it")
    cells = []
    for number, row in enumerate(rows, 2):
        try:
            values: dict[str, Any] = {field.name: _value(row[field.name], str(field.type)) for field in FIELDS}
            cells.append(Cell(**values))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError("not a row of this benchmark", f"{path}, line {number}", "remove it") from error
    return cells


def _value(text: str, kind: str) -> object:
    if kind == "float | None":
        return float(text) if text else None
    if kind == "bool":
        return {"True": True, "False": False}[text]
    return {"int": int, "float": float, "str": str}[kind](text)
