"""Regions cut out of a genome in pieces equal slices of the whole."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.bed import Region
from fairseq_littlebird.text.dna.fasta import Piece
from fairseq_littlebird.text.dna.nucleotides import reverse_complement
from fairseq_littlebird.text.dna.regions import Cut, RegionCutter

GENOME = {name: "".join(random.Random(name).choices("ACGT", k=k)).encode() for name, k in (("chr1", 97), ("2", 40))}


def pieces(size):
    for name, bases in GENOME.items():
        for start in range(0, len(bases), size):
            yield Piece(name, start, bases[start : start + size])


CUTS = st.tuples(
    st.sampled_from(["chr1", "1", "chr2", "2"]),
    st.integers(0, 30),
    st.integers(1, 9),
    st.integers(0, 60),
    st.integers(0, 60),
    st.booleans(),
)


@given(st.lists(CUTS, max_size=8), st.integers(1, 50))
def test_any_regions_in_any_order(given, size):
    cuts, expected = [], []
    for chromosome, start, length, before, after, reverse in given:
        region = Region(chromosome, start, start + length, "x.bed, line 1")
        cuts.append(Cut(region, start - before, start + length + after, reverse))
        whole = b"N" * 60 + GENOME["chr1" if "1" in chromosome else "2"] + b"N" * 99
        bases = whole[60 + start - before : 60 + start + length + after]
        expected.append(reverse_complement(bases) if reverse else bases)
    cutter = RegionCutter(cuts, "g.fa")
    found = {number: (name, bases) for number, name, bases in cutter(pieces(size))}
    names = ["chr1" if "1" in cut.region.chromosome else "2" for cut in cuts]
    assert [found[n] for n in range(len(cuts))] == [*zip(names, expected, strict=True)]
    assert cutter.chromosomes == {name: len(GENOME[name]) for name in names}
    assert bool(cutter.note) == any(cut.region.chromosome in ("1", "chr2") for cut in cuts)
    assert cutter.padded == sum(
        cut.start < 0 or cut.end > len(GENOME["chr1" if "1" in cut.region.chromosome else "2"]) for cut in cuts
    )


def test_names_and_ends_that_do_not_fit():
    cutter = RegionCutter([Cut(Region("1", 3, 4, "x.bed, line 1"), 0, 9)], "g.fa")
    assert [*cutter(pieces(9))] == [(0, "chr1", GENOME["chr1"][:9])]
    assert cutter.note == "chromosome 1 of the regions is chr1 in g.fa"
    with pytest.raises(UserError, match="x.bed, line 7: a region that ends at 98, but chr1 has 97 bases in g.fa"):
        list(RegionCutter([Cut(Region("chr1", 90, 98, "x.bed, line 7"), 90, 98)], "g.fa")(pieces(9)))
    # what is cut out lies on the chromosome, but not the region
    with pytest.raises(UserError, match="x.bed, line 7: a region that ends at 98"):
        list(RegionCutter([Cut(Region("chr1", 50, 98, "x.bed, line 7"), 20, 70)], "g.fa")(pieces(9)))
    with pytest.raises(UserError, match="x.bed, line 7: no chromosome 'chr9' in g.fa, which has chr1, 2"):
        list(RegionCutter([Cut(Region("chr9", 0, 1, "x.bed, line 7"), 0, 1)], "g.fa")(pieces(9)))
    # the regions of a chromosome that is there by two names could be on either
    twice = [*pieces(9), Piece("1", 0, b"ACGT")]
    with pytest.raises(UserError, match="g.fa: chr1 and 1 are one chromosome"):
        list(RegionCutter([Cut(Region("1", 0, 1, "x.bed, line 7"), 0, 1)], "g.fa")(twice))
    assert len([*RegionCutter([Cut(Region("2", 0, 1, "x.bed, line 7"), 0, 1)], "g.fa")(twice)]) == 1


def test_memory_is_a_regions():
    """Of a long chromosome only what regions need is kept."""
    cuts = [Cut(Region("a", start, start + 9, ""), start - 50, start + 59) for start in range(1000, 10**6, 90_000)]
    cutter, largest = RegionCutter(cuts, "g.fa"), 0

    def watched():
        nonlocal largest
        for start in range(0, 10**6, 1000):
            yield Piece("a", start, b"A" * 1000)
            frame = found.gi_frame
            largest = max(largest, len(frame.f_locals["buffer"]) if frame else 0)

    found = cutter(watched())
    assert len(list(found)) == len(cuts) and 0 < largest <= 1200
