"""Rows of a benchmark with the environment beside each, in CSV and JSON files."""

from __future__ import annotations

import csv
import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fairseq_littlebird.benchmarks.cells import check_folder
from fairseq_littlebird.errors import UserError

T = TypeVar("T")


def check(path: Path, kind: type, record: Mapping[str, str]) -> None:
    """Raises the UserError of :func:`append` before the work that makes the rows.

    Args:
        path: of a CSV file, which may not be there yet.
        kind: the dataclass of the rows.
        record: what stands beside every row.
    """
    check_folder(path)
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            if next(csv.reader(file), []) != _columns(kind, record):
                raise UserError("not a file of this benchmark", str(path), "name a new file")


def append(path: Path, kind: type, rows: Sequence[Any], record: Mapping[str, str]) -> None:
    """Adds rows to a CSV file, which may not be there yet.

    Args:
        path, kind, record: as :func:`check`'s.
        rows: of that kind.
    Raises:
        UserError: the file is there and has other columns.
    """
    check(path, kind, record)
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _columns(kind, record))
        if new:
            writer.writeheader()
        writer.writerows(dataclasses.asdict(row) | dict(record) for row in rows)


def read(path: Path, kind: type[T]) -> list[T]:
    """The rows of a CSV file that :func:`append` wrote, without what stands beside them."""
    types = typing.get_type_hints(kind)
    with path.open(encoding="utf-8", newline="") as file:
        return [kind(**{name: of(row[name]) for name, of in types.items()}) for row in csv.DictReader(file)]


def write_json(path: Path, rows: Sequence[Any], record: Mapping[str, str]) -> None:
    """A list with an object for each row, under the names of the columns.

    Raises:
        UserError: there is no such folder.
    """
    check_folder(path)
    path.write_text(json.dumps([dataclasses.asdict(row) | dict(record) for row in rows], indent=1) + "\n", "utf-8")


def _columns(kind: type, record: Mapping[str, str]) -> list[str]:
    return [*(field.name for field in dataclasses.fields(kind)), *record]
