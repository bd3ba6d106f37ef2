"""Ids that say where a sequence lies, and what was cut out around it."""

from __future__ import annotations

import pytest

from fairseq_littlebird.text.dna.places import GenomePlace, Surroundings, place_of


@pytest.mark.parametrize(
    ("id", "place"),
    [
        ("chr8:100-300", GenomePlace("chr8", 100, 300)),
        ("chr8:100-300(-)", GenomePlace("chr8", 100, 300, "", -1)),
        ("P1:chr8:100-300(+)", GenomePlace("chr8", 100, 300, "P1", 1)),
        ("P:1_2:chr8:100-300(+)", GenomePlace("chr8", 100, 300, "P:1_2", 1)),
        ("P1::chr8:0-300", GenomePlace("chr8", 0, 300, "P1")),  # bedtools
        ("p17", None),
        ("chr8:300-300", None),
        ("chr8:-1-300", None),
        ("P1:chr8:100-300(+).negative", None),
    ],
)
def test_named_places(id, place):
    assert place_of(id) == place


def test_bins_have_no_names():
    """So a chromosome may have colons."""
    assert place_of("HLA-A*01:01:5-9", named=False) == GenomePlace("HLA-A*01:01", 5, 9)
    assert place_of("HLA-A*01:01:5-9") == GenomePlace("01", 5, 9, "HLA-A*01")


def test_surroundings():
    bins = Surroundings("middle", 300, 301, {})
    assert bins.around(GenomePlace("a", 1000, 1200)) == (800, 1401)
    sites = Surroundings("start", 50, 30, {"a": 9})
    assert sites.around(GenomePlace("a", 100, 120, "", 1)) == (50, 130)
    assert sites.around(GenomePlace("a", 100, 120, "", -1)) == (90, 170)
    assert Surroundings.of(sites._asdict()) == sites
    for damaged in ({}, [], "x", {**sites._asdict(), "before": "x"}, {**sites._asdict(), "chromosomes": [1]}):
        assert Surroundings.of(damaged) is None
