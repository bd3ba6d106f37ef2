"""littlebird-benchmark pipeline on the tiny data: every part measures, and the file has what was printed."""

from __future__ import annotations

import csv

import pytest

from fairseq_littlebird.cli.benchmark import main


@pytest.mark.slow
def test_every_part_in_the_file(tiny, tmp_path, capsys):
    main(
        ["pipeline", "--text", f"{tiny}/text", "--questions", f"{tiny}/questions", "--documents", f"{tiny}/train.json",
         "--tokenizer", f"{tiny}/tokenizer", "--lengths", "96", "--sizes", "tiny", "--workers", "0", "1",
         "--max-tokens", "512", "--chunks", "3", "--windows", "2", "--runs", "1", "--csv", f"{tmp_path}/out.csv"]
    )  # fmt: skip
    printed = capsys.readouterr().out
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows if row["case"] not in printed] == []
    assert {row["part"] for row in rows} == {"masking", "padding", "loading", "training", "answering", "preparing"}
    for row in rows:
        lowest, median, highest = (float(row[name]) for name in ("lowest", "median", "highest"))
        assert 0 <= lowest <= median <= highest and (median > 0 or row["part"] == "padding")
        assert row["torch"] and row["cores"]
    assert sum("times the reference" in row["remark"] for row in rows) == 1
