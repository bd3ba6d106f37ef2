"""How the threads of the commands wait: libgomp reads it when PyTorch is loaded, so it must be set before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = "import sys, os, fairseq_littlebird.cli; print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))"
RECIPE = "set -eu; source scripts/run.sh; python3 -c 'import os; print(os.environ.get(\"GOMP_SPINCOUNT\"))'"


def printed(command: list[str], settings: dict[str, str]) -> str:
    environment = {name: text for name, text in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    result = subprocess.run(command, cwd=ROOT, env=environment | settings, capture_output=True, text=True, check=True)
    return result.stdout.strip()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_waiting_threads_soon_sleep_unless_the_user_says_otherwise(settings: dict[str, str], expected: str) -> None:
    assert printed([sys.executable, "-c", COMMAND], settings) == f"False {expected}"
    assert printed(["bash", "-c", RECIPE], settings) == expected
