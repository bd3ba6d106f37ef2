"""What littlebird-benchmark generation compares: the same texts of the same weights."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from fairseq_littlebird.benchmarks import generation
from fairseq_littlebird.benchmarks.generation import OURS, THEIRS, both
from fairseq_littlebird.benchmarks.generation_models import FAMILIES, Generation
from fairseq_littlebird.benchmarks.processes import OutOfMemory
from fairseq_littlebird.benchmarks.timing import Times
from fairseq_littlebird.benchmarks.workload import Sizes
from fairseq_littlebird.cli.benchmark import main
from fairseq_littlebird.errors import UserError

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


@pytest.mark.slow
def test_the_command(transformers: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(
        ["generation", "--models", "led", "--size", "tiny", "--layers", "1", "--lengths", "64", "--batches", "1",
         "--beams", "2", "--tokens", "3", "--runs", "1", "--vocabulary", "50", "--no-memory", "--threads", "1",
         "--csv", str(tmp_path / "rows.csv"), "--json", str(tmp_path / "rows.json")]
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("processor")
    assert [line.split()[1] for line in lines[2:]] == [OURS, THEIRS]
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == [OURS, THEIRS]
    assert rows[0]["decode_ratio"] == "1.0" and float(rows[1]["decode_ratio"]) > 0
    assert rows[0]["processor"]
    objects = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert [{k: "" if value is None else str(value) for k, value in row.items()} for row in objects] == rows


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("error", [OutOfMemory(), TypeError("theirs takes no beams\nof mine")])
def test_ours_is_measured_where_theirs_fails(
    memory: bool, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def here(function: Any, *arguments: Any, variables: Any = None) -> Any:
        if THEIRS in arguments or [OURS, THEIRS] in arguments:
            raise error
        if function is generation.peak:
            return 3 << 20
        assert arguments[-1] == [OURS]
        return {f"{part} {OURS}": Times(2.0, 1.0, 3.0) for part in ("encode", "decode")}

    monkeypatch.setattr(generation, "fresh_process", here)
    path = tmp_path / "rows.csv"
    options = ["--models", "led", "--lengths", "64", "128", "--batches", "1", "--beams", "4", "--csv", f"{path}"]
    main(["generation", *options, "--memory" if memory else "--no-memory"])
    found = capsys.readouterr()
    told = str(error).splitlines()[0]
    assert f"led of transformers, 128 tokens, batch 1, beam 4: {told}" in found.out + found.err
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["length"], row["peak_mib"]) for row in rows] == [
        (OURS, length, "3.0" if memory else "") for length in ("64", "128")
    ]


def test_a_missing_library_ends_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def here(*arguments: Any, **options: Any) -> Any:
        raise UserError("transformers is not installed")

    monkeypatch.setattr(generation, "fresh_process", here)
    with pytest.raises(SystemExit):
        main(["generation", "--no-memory"])
    assert capsys.readouterr().err.endswith("transformers is not installed\n")


def test_a_csv_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generation", "--csv", str(tmp_path / "no" / "rows.csv")])
    assert "cannot be written" in capsys.readouterr().err
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit):
        main(["generation", "--csv", str(tmp_path / "other.csv")])
    assert "not a file of this benchmark" in capsys.readouterr().err
