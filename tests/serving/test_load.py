"""The load test of docs/performance.md, for a second."""

from __future__ import annotations

import re
import sys

import pytest
from helpers.processes import ROOT

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")


@pytest.mark.slow
@pytest.mark.subprocess
def test_a_short_load(forks, model_folder, tiny):
    words = [
        sys.executable,
        ROOT / "scripts/experiments/load_test.py",
        model_folder,
        "--questions",
        tiny / "valid.json",
    ]
    done = forks.run([*words, "--clients", "4", "--seconds", "1.5", "--", "--device", "cpu", "--max-waiting", "2"])
    assert done.returncode == 0, done.stderr
    cells = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", done.stdout, re.MULTILINE))
    assert int(cells["answered"].replace(",", "")) > 0 and cells["other statuses, lost"] == "0"
    assert cells["different questions"] == "4"
