"""The slopes of the benchmark of memory over time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "experiments" / "soak.py"


@pytest.fixture(scope="module")
def benchmark(script):
    return script("scripts/experiments/soak.py")


def test_slopes(benchmark):
    """Two processes one after the other, the second higher from its start: by their own age they grow more slowly."""
    first = [benchmark.Sample(60.0 * m, 1, 1, 100 + m / 6, 50) for m in range(60)]
    second = [benchmark.Sample(60.0 * m, 2, 1, 200 + m / 6, 50) for m in range(60, 120)]
    one = benchmark.slope(first)
    assert one.resident == pytest.approx(10) and one.anonymous == pytest.approx(0)
    assert benchmark.slope(first + second, aged=True).resident == pytest.approx(10)
    assert benchmark.slope(first + second).resident > 50


def test_a_command_that_grows(tmp_path):
    grow = "import time; held = []\nwhile True: held.append(bytearray(1 << 20)); time.sleep(0.02)"
    words = [sys.executable, str(SCRIPT), "watch", "--minutes", "0.04", "--every", "0.2", "--skip", "0"]
    words += ["--csv", str(tmp_path / "grown.csv"), "--", sys.executable, "-c", grow]
    done = subprocess.run(words, capture_output=True, text=True, cwd=SCRIPT.parents[2])
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("| the process itself"))
    assert float(row.split("|")[2]) > 10_000  # 50 MiB a second
