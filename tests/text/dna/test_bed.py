"""BED files, and names of chromosomes."""

from __future__ import annotations

import gzip

import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.bed import Region, bare_name, read_bed


def test_regions(tmp_path):
    path = tmp_path / "x.bed.gz"
    text = "# a\ntrack name=x\nbrowser position\n\nchr1\t0\t7\r\nchr2\t3\t9\tp1\t.\t-\tmore\nX 4 5 . 0 +\n"
    path.write_bytes(gzip.compress(text.encode()))
    where = [f"{path}, line {n}" for n in (5, 6, 7)]
    assert list(read_bed(path)) == [
        Region("chr1", 0, 7, where[0]),
        Region("chr2", 3, 9, where[1], "p1", -1),
        Region("X", 4, 5, where[2], "", 1),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t5\n", "line 1: 2 columns"),
        ("chr1\t0\t4\t\t\t+\nchr1\t-5\t9\n", "line 2: expected two whole numbers"),
        ("chr1\tx\t9\n", "line 1: expected two whole numbers"),
        ("chr1\t9\t99999999999999999999\n", 'line 1: "99999999999999999999" is beyond the end of any chromosome'),
        ("chr1\t9\t9\n", "line 1: a region from 9 to 9 is empty"),
        ("chr1\t1\t9\ta\t0\tforward\n", "line 1: expected the strand + or -, got \"forward\""),
        ("chr1\t1\t9\ta\t0\t+\nchr1\t1\t9\ta\t0\t.\n", "line 2: no strand"),
        ("chr1\t1\t9\n", "line 1: no strand"),
        ("# nothing\n", "no region in it"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "x.bed"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        list(read_bed(path, stranded=True))
    assert message in str(error.value) and str(error.value).startswith(str(path))


def test_names_with_and_without_chr():
    assert [bare_name(name) for name in ("chr1", "1", "chrX", "MT", "chrM", "scaffold_1")] == [
        *("1", "1", "X", "M", "M", "scaffold_1")
    ]
