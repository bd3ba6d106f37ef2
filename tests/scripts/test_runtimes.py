"""The comparison of runtimes: both models agree in them with PyTorch, and one that is missing stops nothing."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxscript")
pytest.importorskip("transformers")

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "experiments"


@pytest.fixture
def runtimes(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("runtimes")


@pytest.mark.slow
def test_a_small_comparison(tmp_path, monkeypatch, capsys, runtimes):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(runtimes, "fresh_process", lambda function, *arguments: function(*arguments))
    settings = "--size tiny --layers 1 --lengths 70 --runs 1 --threads 1 --runtimes".split()
    chosen = ["pytorch float32", "pytorch int8", "onnxruntime float32", "onnxruntime int8", "openvino float32"]
    monkeypatch.setattr(sys, "argv", ["runtimes.py", "--out", f"{tmp_path}", *settings, *chosen])
    runtimes.main()
    found = json.loads((tmp_path / "runtimes.json").read_text())
    rows = {(row["family"], row["runtime"]): row for row in found["rows"]}
    assert rows.keys() == {(family, runtime) for family in ("littlebird", "roberta") for runtime in chosen[:-1]}
    for (_, runtime), row in rows.items():
        assert row["fastest"] <= row["ms"] <= row["slowest"]
        assert row["difference"] <= (1e-4 if "float32" in runtime else 0.1)
    assert found["faults"].keys() == {"littlebird openvino float32, 70", "roberta openvino float32, 70"}
    shown = capsys.readouterr().out
    assert "| onnxruntime float32 |" in shown and "openvino float32, 70: ModuleNotFoundError" in shown


@pytest.mark.slow
def test_a_process_that_is_killed_stops_nothing(tmp_path, monkeypatch, capsys, runtimes):
    def killed(function, *arguments):
        raise runtimes.OutOfMemory("the measuring process was killed")

    monkeypatch.setattr(runtimes, "fresh_process", killed)
    settings = "--size tiny --layers 1 --lengths 70 --runs 1 --threads 1 --runtimes".split()
    monkeypatch.setattr(sys, "argv", ["runtimes.py", "--out", f"{tmp_path}", *settings, "pytorch float32"])
    runtimes.main()
    shown = capsys.readouterr().out.splitlines()
    assert "| pytorch float32 | – / – |" in shown
    assert shown[-1].startswith("littlebird and roberta pytorch float32, 70: the measuring process was killed")


def test_the_last_line_compares_the_best_of_each(runtimes):
    rows = [
        {"family": family, "runtime": runtime, "length": 512, "ms": ms}
        for family, runtime, ms in (
            ("littlebird", "pytorch float32", 20.0),
            ("littlebird", "onnxruntime int8", 10.0),
            ("roberta", "pytorch float32", 30.0),
            ("roberta", "onnxruntime int8", 40.0),
        )
    ]
    assert runtimes.table(rows, [512]).splitlines()[-1].endswith("| 3.00 × |")
