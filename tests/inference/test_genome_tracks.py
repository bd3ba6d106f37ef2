"""BED and bedGraph against a value for each base."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.inference.genome_tracks import BedGraph, bed_lines, track_line
from fairseq_littlebird.text.dna.places import GenomePlace

SEQUENCES = st.lists(
    st.tuples(
        st.sampled_from(["chr1", "chr2"]), st.integers(-5, 40), st.lists(st.integers(0, 2), min_size=1, max_size=9)
    )
)


@given(SEQUENCES, st.one_of(st.none(), st.integers(5, 30)))
def test_means_over_bases(sequences, size):
    sequences = sorted(sequences, key=lambda one: one[:2])
    track, lines, expected = BedGraph(), [], {}
    for name, start, values in sequences:
        lines += track.add(name, start, np.array(values, float), size)
        for base, value in enumerate(values, start):
            if base >= 0 and (size is None or base < size):
                expected.setdefault((name, base), []).append(value)
    lines += track.end()
    found, last = {}, ("", 0)
    for line in lines:
        name, start, end, value = line.rstrip("\n").split("\t")
        assert (name, int(start)) >= last and int(start) < int(end)
        last = name, int(end)
        found |= {(name, base): float(value) for base in range(int(start), int(end))}
    assert found.keys() == expected.keys()
    for base, values in expected.items():
        assert found[base] == pytest.approx(np.mean(values), rel=1e-5)


def test_lines():
    track = BedGraph()
    lines = [*track.add("a", 3, np.array([1.0, 1, 2])), *track.add("a", 9, np.array([2.0])), *track.end()]
    assert lines == ["a\t3\t5\t1\n", "a\t5\t6\t2\n", "a\t9\t10\t2\n"]
    with pytest.raises(ValueError, match="a:2 after 10"):
        [*track.add("a", 2, np.ones(1))]
    regions = [(GenomePlace("a", 1, 5, "P1", -1), [("x", 0.5), ("y", 1.0)]), (GenomePlace("a", 2, 3), [])]
    assert [*bed_lines(regions)] == ["a\t1\t5\tP1:x\t500\t-\n", "a\t1\t5\tP1:y\t1000\t-\n"]
    assert track_line('a "b"') == "track type=bedGraph name=\"a 'b'\"\n"
