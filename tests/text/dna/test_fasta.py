"""FASTA in pieces of any size equals what a reader of whole files makes of it."""

from __future__ import annotations

import gzip
import random
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.fasta import FastaReader
from fairseq_littlebird.text.dna.nucleotides import bases_of, reverse_complement

PROTEIN = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV"


def whole(text):
    """name -> bases: the plain reading."""
    records = {}
    for record in ("\n" + text.replace("\r\n", "\n")).split("\n>")[1:]:
        header, _, body = record.partition("\n")
        body = re.sub(r"\s", "", body).upper().replace("U", "T")
        records[header.split()[0]] = re.sub("[^ACGT]", "N", body)
    return records


def joined(reader):
    """name -> bases, of pieces that must follow each other."""
    records = {}
    for piece in reader:
        assert piece.bases and piece.start == len(records.get(piece.name, ""))
        records[piece.name] = records.get(piece.name, "") + piece.bases.decode()
    return records


LINES = st.lists(st.text("ACGTacgtuNnRYKMswbdhv-", max_size=9), max_size=6)


@given(
    st.lists(LINES, min_size=1, max_size=5),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.integers(1, 40),
    st.booleans(),
)
def test_any_file_in_chunks_of_any_size(tmp_path_factory, records, newline, ended, chunk, packed):
    rows = [row for n, lines in enumerate(records) for row in (f">chr{n} a comment > here", *lines)]
    text = newline.join(rows) + newline * ended
    path = tmp_path_factory.mktemp("fasta") / "x.fa"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    reader = FastaReader(path, chunk)
    expected = {name: bases for name, bases in whole(text).items() if bases}
    if not expected:
        with pytest.raises(UserError, match="no base in any of its records"):
            joined(reader)
        return
    assert joined(reader) == expected
    assert (reader.records, reader.empty) == (len(records), len(records) - len(expected))
    assert reader.bases == sum(map(len, expected.values())) and reader.replaced == 0
    assert reader.bytes == len(text.encode())


def test_the_header_may_be_cut_anywhere_and_a_mark_stands_before_it(tmp_path):
    path = tmp_path / "x.fa"
    path.write_bytes(b"\xef\xbb\xbf>chr1 first\nACGT\n>chr2\n\n>chr3\nacgtnu")
    for chunk in range(6, 30):
        assert joined(FastaReader(path, chunk)) == {"chr1": "ACGT", "chr3": "ACGTNT"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ACGT\nACGT\n", "x.fa, line 1: not FASTA: expected a line that begins with >, got \"ACGT\""),
        ("\n\n{\"a\": 1}\n", "x.fa, line 3: not FASTA"),
        ("", "x.fa: no record in it"),
        (">a\n>b\n\n", "x.fa: no base in any of its records"),
        (">a\nACGT\n>\nACGT\n", "x.fa, line 3: a record without a name"),
        (">a\nACGT\n>b\nA\n>a x\nACGT\n", "x.fa, line 5: the record 'a' comes twice"),
        ("@read\nACGT\n+\n!!!!\n", "x.fa, line 1: not FASTA but FASTQ"),
        ("LOCUS  X\n", "x.fa, line 1: not FASTA but a GenBank file"),
        (f">a\nACGT\nACGT\n>b\nGGGG\n{PROTEIN}\n", "x.fa, line 6: .* of the letters of b are no nucleotides"),
        (">" + "x" * 70_000 + "\nACGT\n", "x.fa, line 1: a header line of more than"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "x.fa"
    path.write_text(text)
    for chunk in (7, 1 << 20):
        if chunk == 7 and text.startswith(("LOCUS", "@")):
            continue  # told by the first bytes of a file
        with pytest.raises(UserError, match=re.escape(message).replace(r"\.\*", ".*")) as error:
            joined(FastaReader(path, chunk))
        assert "\n" not in str(error.value)


def test_protein_is_refused_early_and_a_few_other_letters_are_n(tmp_path):
    path = tmp_path / "x.fa"
    path.write_text(">p\n" + PROTEIN * 100_000)
    reader = FastaReader(path, 1 << 12)
    with pytest.raises(UserError, match=r"line 2: \d+% of the letters of p"):
        joined(reader)
    assert reader.bytes == 1 << 12
    path.write_text(">a\n" + "ACGT" * 30 + "\nAXA\n" + "ACGT" * 30)
    reader = FastaReader(path)
    assert joined(reader) == {"a": "ACGT" * 30 + "ANA" + "ACGT" * 30} and reader.replaced == 1


def test_memory_does_not_grow_with_a_chromosome(tmp_path):
    """On one line, too."""
    path = tmp_path / "x.fa.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b">long\n")
        for _ in range(64):
            file.write(b"ACGTTGCA" * (1 << 16))
    for chunk in (1 << 16, 1 << 18):
        tracemalloc.start()
        assert sum(len(piece.bases) for piece in FastaReader(path, chunk)) == 64 << 19
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10 * chunk


def test_the_opposite_strand():
    rng = random.Random(0)
    bases = "".join(rng.choices("ACGTN", k=500)).encode()
    other = reverse_complement(bases)
    assert reverse_complement(other) == bases
    pairs = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}
    assert other.decode() == "".join(pairs[base] for base in reversed(bases.decode()))
    assert bases_of(b"acgu\tRYx-\r\n", keep_space=True) == b"ACGT\tNN?N\r\n"
