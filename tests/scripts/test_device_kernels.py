"""The first ten minutes on a device, without one."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "scripts" / "experiments"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("device_kernels")


def findings(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_runs_from_a_checkout_that_is_not_installed(tmp_path):
    shutil.copytree(ROOT / "fairseq_littlebird", tmp_path / "fairseq_littlebird")
    (tmp_path / "scripts" / "experiments").mkdir(parents=True)
    for file in FOLDER.glob("device_*.py"):
        shutil.copy(file, tmp_path / "scripts" / "experiments")
    lacking = "import sys; sys.modules.update(dict.fromkeys(('fairseq', 'omegaconf', 'numpy.testing')))"
    code = f"{lacking}; import device_kernels, fairseq_littlebird; print(fairseq_littlebird.__file__)"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "scripts" / "experiments", env=environment, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_checks_in_the_interpreter(tmp_path):
    """A dtype, and one token, of what the device checks."""
    out = tmp_path / "found.jsonl"
    words = [FOLDER / "device_kernels.py", "--device", "cpu", "--longest", "1", "--out", out, "--step", "check float32"]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = {found["kind"] for found in findings(out)}
    assert kinds == {"padding", "plain", "no slopes", "all padding", "one projection", "dropout"}
    assert not any(found["off"] for found in findings(out))


@pytest.mark.parametrize(("status", "good"), [("time flex", True), ("check float16", False), ("time triton", False)])
def test_a_step_that_fails_loses_no_other(script, tmp_path, monkeypatch, status, good):
    """Only rivals may fail; one that dies takes its process along and nothing else."""
    stub = tmp_path / "stub.py"
    stub.write_text(f"import os, sys\nsys.argv[-1] == {status!r} and os.abort()\n")
    monkeypatch.setattr(script, "__file__", str(stub))
    monkeypatch.setattr(script.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(script.torch.cuda, "get_device_name", lambda: "a device")
    monkeypatch.setattr(script, "backend_fault", lambda *_: None)
    out = tmp_path / "found.jsonl"
    assert script.main(["--out", str(out)]) == (0 if good else 1)
    found = {line["finished"]: line["status"] for line in findings(out) if "finished" in line}
    assert set(found) == {name for names in script.plan("cuda") for name in names}
    assert {name for name, code in found.items() if code} == {status}


def test_a_step_that_hangs_is_ended(script, tmp_path, monkeypatch):
    stub = tmp_path / "stub.py"
    stub.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(script, "__file__", str(stub))
    monkeypatch.setattr(script, "plan", lambda device: [["time triton"]])
    monkeypatch.setattr(script.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(script.torch.cuda, "get_device_name", lambda: "a device")
    monkeypatch.setattr(script, "backend_fault", lambda *_: None)
    out = tmp_path / "found.jsonl"
    assert script.main(["--out", str(out), "--step-minutes", "0.01"]) == 1
    assert findings(out)[-1]["status"] == "out of time"


def test_a_size_that_fails_loses_no_other(script, tmp_path, monkeypatch):
    checks = importlib.import_module("device_checks")

    def fails_once(backend, size, *_):
        if size[0] == 1:
            raise RuntimeError("no room\nfor it")
        return {"result": 0.0, "inputs": 0.0, "repeats": 1.0}

    monkeypatch.setattr(checks, "errors", fails_once)
    out = tmp_path / "found.jsonl"
    assert not checks.check(checks.Notes(out, "check"), "flex", "float32", "cpu", 10**6)
    found = findings(out)
    assert len(found) == 2 * len(checks.SIZES)
    assert [line["failed"] for line in found if "failed" in line] == ["RuntimeError: no room for it"] * 2


def test_the_floor_has_five_products_backward(script):
    floors = script.floors(720.0, 4.8)
    assert floors[False] == pytest.approx(0.0895, abs=1e-3)  # 2 products of 8 x 12 x 8,192 x 320 x 64
    assert floors[True] == pytest.approx(0.0895 * 3.5, abs=4e-3)


def test_without_a_device_it_says_so(script, capsys, tmp_path):
    assert script.main(["--out", str(tmp_path / "found")]) == 2
    assert "no CUDA device here" in capsys.readouterr().err
