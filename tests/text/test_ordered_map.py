"""An ordered map over processes: results, errors, and nothing left at work."""

from __future__ import annotations

import threading

import pytest

from fairseq_littlebird.text.workers import ordered_map


def double(n: int) -> int:
    if n == 13:
        raise ValueError("thirteen")
    return 2 * n


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_in_order(workers):
    assert list(ordered_map(double, iter(range(13)), workers)) == [2 * n for n in range(13)]


@pytest.mark.parametrize("ending", ["exhausted", "closed", "failed"])
def test_no_thread_of_the_pool_is_left(ending):
    """At exit, Python writes to those that it knows, and one that just ends has closed what it would write to."""
    before = set(threading.enumerate())
    results = ordered_map(double, range(100 if ending != "exhausted" else 9), 2)
    if ending == "failed":
        with pytest.raises(ValueError, match="thirteen"):
            list(results)
    elif ending == "closed":
        assert next(results) == 0
        results.close()
    else:
        list(results)
    assert set(threading.enumerate()) == before
