"""Promoters: sequences of files, places around start sites, and negatives."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.bed import Region
from fairseq_littlebird.text.dna.nucleotides import reverse_complement
from fairseq_littlebird.text.dna.promoters import around_start, fingerprint, negative
from fairseq_littlebird.text.dna.sequences import read_sequences


def test_eight_parts_of_twenty_stay():
    bases = b"N" * 8000  # which no random base is
    chosen = np.zeros(20)
    for seed in range(300):
        found = negative(bases, np.random.default_rng(seed))
        assert len(found) == 8000
        parts = [found[n : n + 400] for n in range(0, 8000, 400)]
        kept = np.array([part == b"N" * 400 for part in parts])
        assert kept.sum() == 8 and not any(b"N" in part for part, stays in zip(parts, kept, strict=True) if not stays)
        chosen += kept
    assert chosen / 300 == pytest.approx(0.4, abs=0.1)
    letters = [found.count(letter) for letter in b"ACGT"]
    assert sum(letters) == 4800 and min(letters) > 1000


def test_any_length_and_any_number_of_parts():
    for length in (20, 33, 301):
        found = negative(b"N" * length, np.random.default_rng(length))
        assert len(found) == length and length * 0.25 < found.count(b"N") < length * 0.55
    assert negative(b"N" * 9, np.random.default_rng(0), parts=3, replaced=3).count(b"N") == 0
    assert negative(b"N" * 9, np.random.default_rng(0), parts=9, replaced=1).count(b"N") == 8


def test_the_site_is_the_first_base_in_the_direction_of_the_strand():
    genome = b"".join(f"{n:04}".encode() for n in range(200))  # a place's digits instead of bases

    def taken(cut):
        bases = genome[cut.start : cut.end]
        return bases[::-1] if cut.reverse else bases

    for strand, site in ((1, 400), (-1, 419)):
        bases = taken(around_start(Region("a", 400, 420, "", "", strand), 50, 30))
        assert len(bases) == 80
        towards = genome[site:] if strand > 0 else genome[: site + 1][::-1]
        assert bases[50:] == towards[:30]


def test_both_strands_have_one_fingerprint():
    rng = np.random.default_rng(0)
    every = {fingerprint(rng.choice(list(b"ACGT"), 30).astype(np.uint8).tobytes(), 1) for _ in range(2000)}
    assert len(every) == 2000 and 0.4 < np.mean([bits < 2**63 for bits in every]) < 0.6
    assert fingerprint(b"AACCG", 1) == fingerprint(reverse_complement(b"AACCG"), 1) != fingerprint(b"AACCG", 2)


def test_sequences_of_lines_and_of_records(tmp_path):
    lines, records = tmp_path / "x.txt", tmp_path / "x.fa"
    lines.write_text("\nacgtR\n\nACGU" + "ACGT" * 9 + "X\n")
    assert [(s.name, s.bases) for s in read_sequences(lines)] == [
        ("2", b"ACGTN"),
        ("4", b"ACGT" + b"ACGT" * 9 + b"N"),
    ]
    records.write_text(">a\nAC\nGT\n>b\n>c x\nTT\n")
    assert [(s.name, s.bases, s.where) for s in read_sequences(records)] == [
        ("a", b"ACGT", f"{records}, record a"),
        ("c", b"TT", f"{records}, record c"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ACGT\nsequence\tlabel\n", "x, line 2: .* of the letters are no nucleotides, got \"sequence"),
        ("ACGT\nMKTAYIAKQRQ\n", "x, line 2: "),
        ("\n\n", "x: no sequence in it"),
        (">a\n" + "ACGT" * 250_001, "x, record a: a sequence of more than 1,000,000 bases"),
        ("A" * 1_000_001, "x, line 1: a sequence of more than 1,000,000 bases"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, text, message):
    (tmp_path / "x").write_text(text)
    with pytest.raises(UserError, match=message):
        list(read_sequences(tmp_path / "x"))
