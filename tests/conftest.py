"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets: ``LITTLEBIRD_DATA``, or ``shared/data`` beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LITTLEBIRD_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set LITTLEBIRD_DATA")
    return folder
