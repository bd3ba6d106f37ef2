"""Tables of labels and the group of each: transcription factors, open chromatin, histone marks."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.opening import open_text

GROUP, LABEL = "group", "label"
_ASSAY = "TF/DNase/HistoneMark"
"""The column of DeepSEA's table that says what was measured; it has no column of groups."""
_NAMED_BY = ("Cell Type", _ASSAY, "Treatment")


class LabelGroups(NamedTuple):
    """Labels in the order of their numbers.

    Args:
        names: of the labels; no name comes twice.
        groups: the group of each.
        rows: the cells of each label's row, by column.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def read_label_groups(path: str | Path) -> LabelGroups:
    """The labels of a table, a row each, with tabs between the columns.

    Its first row has the names of the columns: ``group`` and, if they are named, ``label``; or those of DeepSEA's
    table, whose groups are DHS for DNase, HM for a histone mark and TF for anything else.

    Args:
        path: the file, plain or compressed.
    Raises:
        UserError: no such columns, an empty cell, or no label at all, with the line.
    """
    with open_text(path, newline="") as lines:
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = [name.strip() for name in next(reader, [])]
        lower = [name.lower() for name in header]
        if GROUP not in lower and _ASSAY not in header:
            what = f"no column {GROUP!r} or {_ASSAY!r}"
            raise UserError(what, f"{path}, line 1", "name the columns in the first row, with tabs between")
        names, groups, rows = [], [], []
        for row in reader:
            if not row:
                continue
            where = f"{path}, line {reader.line_num:,}"
            if len(row) != len(header):
                raise UserError(f"{len(row)} columns instead of {len(header)}", where, "correct the row")
            cells = dict(zip(header, (cell.strip() for cell in row), strict=True))
            group = cells[header[lower.index(GROUP)]] if GROUP in lower else _group(cells[_ASSAY])
            if not group:
                raise UserError("no group", where, "give one to each label")
            rows.append(cells)
            groups.append(group)
            if LABEL in lower:
                names.append(cells[header[lower.index(LABEL)]])
            else:
                names.append("|".join(cells[column] for column in _NAMED_BY if column in cells) or str(len(rows)))
    if not rows:
        raise UserError("no label in it", str(path), "give a row for each label")
    return LabelGroups(tuple(_distinct(names)), tuple(groups), tuple(rows))


def _group(assay: str) -> str:
    """Of what DeepSEA measured: histones are H2A, H3 and H4 with what is bound to them."""
    if not assay:
        return ""
    if assay.lower().startswith("dnase"):
        return "DHS"
    return "HM" if re.match(r"H[234][ABK]", assay) else "TF"


def _distinct(names: list[str]) -> list[str]:
    """Repeated measurements of the same get numbers."""
    count: dict[str, int] = {}
    distinct = []
    for name in names:
        count[name] = count.get(name, 0) + 1
        distinct.append(name if count[name] == 1 else f"{name}#{count[name]}")
    return distinct
