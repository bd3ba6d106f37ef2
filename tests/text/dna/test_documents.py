"""Documents of DNA: every base of a pass, in order, in sentences of the lengths that were asked for."""

from __future__ import annotations

import random
import re
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.text.dna.documents import Cutting, documents
from fairseq_littlebird.text.dna.fasta import Piece
from fairseq_littlebird.text.dna.gaps import without_gaps
from fairseq_littlebird.text.dna.nucleotides import reverse_complement


def pieces_of(genome, size):
    return [
        Piece(name, start, bases[start : start + size])
        for name, bases in genome.items()
        for start in range(0, len(bases), size)
    ]


@given(
    st.dictionaries(st.sampled_from("xyz"), st.text("NNNNA", min_size=1), min_size=1),
    st.integers(1, 9),
    st.integers(1, 6),
)
def test_gaps_are_what_a_search_of_the_whole_finds(genome, size, run):
    genome = {name: bases.encode() for name, bases in genome.items()}
    kept = {name: bytearray(b"-" * len(bases)) for name, bases in genome.items()}
    for piece in without_gaps(pieces_of(genome, size), run):
        assert piece.bases
        kept[piece.name][piece.start : piece.end] = piece.bases
    for name, bases in genome.items():
        assert kept[name] == re.sub(b"N{%d,}" % run, lambda found: b"-" * len(found[0]), bases)


def made(genome, size=10_000, **how):
    return list(documents(pieces_of(genome, size), Cutting(**how)))


@pytest.fixture(scope="module")
def genome():
    rng = random.Random(1)
    return {name: "".join(rng.choices("ACGT", k=k)).encode() for name, k in (("a", 300_000), ("b", 900), ("c", 90_000))}


def test_each_pass_covers_its_chromosome_once(genome):
    found = made(genome, passes=3)
    assert sorted(found) == sorted(made(genome, 777, passes=3))  # whatever the pieces
    ends = defaultdict(set)
    for document in found:
        bases = b"".join(document.sentences)
        assert document.strand == 1 and genome[document.chromosome][document.start :].startswith(bases)
        ends[document.chromosome].add((document.start, document.start + len(bases)))
        lengths = [len(sentence) for sentence in document.sentences]
        last = document.start + len(bases) == len(genome[document.chromosome])
        assert all(500 <= length <= 1000 for length in lengths[:-1]) and (last or 500 <= lengths[-1] <= 1000)
        assert len(lengths) <= 100 and (last or 50 <= len(lengths))
    for name, spans in ends.items():
        starts = {start for start, _ in spans} - {end for _, end in spans}
        assert len(starts) == 3 and max(starts) <= min(5000, len(genome[name]) // 2)
        for start in starts:  # each pass is a chain to the end
            at = start
            while at < len(genome[name]):
                ((_, at),) = [span for span in spans if span[0] == at]


def test_a_gap_ends_all_documents(genome):
    cut = {"a": genome["a"][:40_000] + b"N" * 50 + genome["a"][:40_000]}
    for document in documents(without_gaps(pieces_of(cut, 9_999), 50), Cutting(passes=4)):
        end = document.start + sum(map(len, document.sentences))
        assert end <= 40_000 or document.start >= 40_050
        assert b"N" not in b"".join(document.sentences)


def test_opposite_strands_are_the_same_documents_reversed(genome):
    plain, turned = made(genome, passes=8), made(genome, passes=8, reverse_complement=True)
    strands = [document.strand for document in turned]
    assert 0.25 < strands.count(-1) / len(strands) < 0.75
    for document in turned:
        bases = b"".join(document.sentences)
        bases = bases if document.strand > 0 else reverse_complement(bases)
        assert genome[document.chromosome][document.start :].startswith(bases)
    assert sum(len(s) for d in plain for s in d.sentences) == pytest.approx(
        sum(len(s) for d in turned for s in d.sentences), rel=0.1
    )


def test_the_seed_decides(genome):
    assert made(genome, seed=1) == made(genome, seed=1) != made(genome, seed=2)
