"""Cells in CSV files, tables and pictures."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from fairseq_littlebird.benchmarks import cells, plot, table
from fairseq_littlebird.benchmarks.cells import Cell
from fairseq_littlebird.errors import UserError


def cell(**changes):
    kinds = {"int": 1, "float": 1.5, "bool": False, "str": "x", "float | None": None}
    values = {field.name: kinds[field.type] for field in dataclasses.fields(Cell)}
    return Cell(**(values | {"mode": "forward", "allocator": "default"} | changes))


CELLS = [
    cell(model=model, length=length, allocator=allocator, median_ms=median, times_ours=median / 200, times_floor=1.1)
    for length in (512, 4096)
    for allocator, medians in (("default", (200.0, 420.0, 180.0)), ("tuned", (200.0, 260.0, 180.0)))
    for model, median in zip(("littlebird", "bigbird", "floor"), medians, strict=True)
]


def test_rows_come_back_as_they_went(tmp_path):
    path = tmp_path / "a.csv"
    rows = [*CELLS, cell(compiled=True, peak_mib=2.5, remark="a, b")]
    cells.append(path, rows[:3])
    cells.append(path, rows[3:])
    assert cells.read(path) == rows
    assert path.read_text().splitlines()[0].split(",") == cells.COLUMNS


@pytest.mark.parametrize(
    "text, message",
    [
        ("", r"a\.csv"),
        ("a,b\n1,2\n", r"a\.csv"),
        (",".join(cells.COLUMNS) + "\n", r"a\.csv"),
        (",".join(cells.COLUMNS) + "\nencoder,x\n", r"a\.csv, line 2"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    for use in (cells.read, cells.check, lambda path: cells.append(path, CELLS)):
        with pytest.raises(UserError, match=message):
            use(path)
    assert path.read_text() == text
    with pytest.raises(UserError, match="cannot be written"):
        cells.check(tmp_path / "nowhere" / "a.csv")


def test_markdown_has_the_other_allocator_in_brackets():
    assert table.markdown(CELLS).splitlines() == [
        "| mode | length | littlebird, ms | over the floor | bigbird / littlebird |",
        "|---|---|---|---|---|",
        "| forward | 512 | 200 [200] | 1.10 [1.10] | 2.10 [1.30] |",
        "| forward | 4,096 | 200 [200] | 1.10 [1.10] | 2.10 [1.30] |",
    ]


def test_markdown_has_memory_where_it_was_measured():
    found = table.markdown([dataclasses.replace(CELLS[0], peak_mib=114.2), CELLS[1]]).splitlines()
    assert found[-3:] == [
        "| mode | length | littlebird, MiB | bigbird, MiB |",
        "|---|---|---|---|",
        "| forward | 512 | 114 |  |",
    ]


def test_settings_apart(tmp_path):
    rows = [*CELLS, *(dataclasses.replace(c, batch=8, dtype="bfloat16") for c in CELLS)]
    one, other = (table.markdown(part) for part in (CELLS, rows[len(CELLS) :]))
    found = table.markdown(rows)
    assert found == f"batch 1, dtype x\n\n{one}\n\nbatch 8, dtype bfloat16\n\n{other}"
    with pytest.raises(UserError, match="several settings: batch 1, dtype x; batch 8"):
        plot.draw(rows, tmp_path / "a.png")


def test_lines_stand_below_the_header():
    line = table.line(cell(length=512, model="littlebird", peak_mib=12.34))
    assert line[table.HEADER.index("model") :].startswith("littlebird ")
    for title, value in (("length", " 512"), (" ms", " 1.5"), ("x floor", " 1.50"), ("peak MiB", " 12.3")):
        assert f" {line}"[: table.HEADER.index(title) + len(title) + 1].endswith(value)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_picture(tmp_path, kind):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"a.{kind}"
    plot.draw([dataclasses.replace(c, peak_kib_per_token=3.0) for c in CELLS], path)
    start = path.read_bytes()[:100]
    assert b"PNG" in start if kind == "png" else b"<?xml" in start


def test_no_picture(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    with pytest.raises(UserError, match=r"a\.xyz"):
        plot.draw(CELLS, tmp_path / "a.xyz")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match="--plot needs matplotlib; pip install"):
        plot.draw(CELLS, tmp_path / "a.png")
