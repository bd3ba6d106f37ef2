"""What littlebird-benchmark generation compares: the same texts of the same weights."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from fairseq_littlebird.benchmarks.generation import OURS, THEIRS, both
from fairseq_littlebird.benchmarks.generation_models import FAMILIES, Generation
from fairseq_littlebird.benchmarks.workload import Sizes
from fairseq_littlebird.cli.benchmark import main

SMALL = Generation(
    "led", Sizes(16, 2, 24, 4, 4), layers=2, vocabulary=40, length=120, batch=2, beam=1, tokens=5
)  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("beam", [1, 3])
def test_both_write_the_same(transformers: Any, family: str, beam: int) -> None:
    runs = both(dataclasses.replace(SMALL, family=family, beam=beam))
    written = runs[OURS].whole()
    assert written.shape == (2, 5)
    ours, theirs = (runs[name].whole()[:, :-1] for name in (OURS, THEIRS))  # fairseq forces </s> as the last
    if beam == 1:
        assert torch.equal(ours, theirs)
    for name in (OURS, THEIRS):
        assert torch.equal(runs[name].decode(), runs[name].whole())
        assert torch.equal(runs[name].decode(), runs[name].whole())  # and again of what was read once
    encoded = runs[OURS].encode()["encoder_out"][0].transpose(0, 1)
    torch.testing.assert_close(encoded, runs[THEIRS].encode().last_hidden_state, atol=1e-4, rtol=1e-4)


def test_the_command(transformers: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(
        ["generation", "--models", "led", "--size", "tiny", "--layers", "1", "--lengths", "64", "--batches", "1",
         "--beams", "2", "--tokens", "3", "--runs", "1", "--vocabulary", "50", "--no-memory", "--threads", "1",
         "--csv", str(tmp_path / "rows.csv")]
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("processor")
    assert [line.split()[1] for line in lines[2:]] == [OURS, THEIRS]
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == [OURS, THEIRS]
    assert rows[0]["decode_ratio"] == "1.0" and float(rows[1]["decode_ratio"]) > 0
    assert rows[0]["processor"]


def test_a_csv_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generation", "--csv", str(tmp_path / "no" / "rows.csv")])
    assert "cannot be written" in capsys.readouterr().err
