"""The wheel of this checkout, built once a test run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.processes import ROOT

OUTSIDE = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def wheel(once: Callable[[str, Callable[[Path], Any]], Path]) -> Path:
    """Built from the files that git knows, without the package index."""
    (found,) = once("wheel", build).glob("*.whl")
    return found


def build(folder: Path) -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    source = folder / "source"
    for name in filter(None, files.split("\n")):  # a build leaves files in the folder that it is made from
        if name.startswith(("fairseq_littlebird/", "configs/")) or name in OUTSIDE:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(source)], check=True, capture_output=True)
