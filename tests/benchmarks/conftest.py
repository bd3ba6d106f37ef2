"""A workload small enough to run, long enough for every kind of block."""

from __future__ import annotations

import pytest

from fairseq_littlebird.benchmarks.workload import Sizes, Workload

SMALL = Sizes(width=32, heads=2, ffn_width=64, pack_size=8, block_size=16)


@pytest.fixture
def workload():
    return Workload(SMALL, layers=2, length=100, batch=2)
