"""BED files: regions of chromosomes, counted from 0, their ends not included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.opening import open_text

_OTHER_LINES = ("#", "track", "browser")
_DIGITS = 15
_STRANDS = {"+": 1, "-": -1, ".": 0}


class Region(NamedTuple):
    """A line of a BED file.

    Args:
        chromosome: its name there.
        start, end: from 0, ``end`` not included.
        where: file and line, for messages.
        name: of the region, "" where it has none.
        strand: 1, -1, or 0 where it is not known.
    """

    chromosome: str
    start: int
    end: int
    where: str
    name: str = ""
    strand: int = 0


def read_bed(path: str | Path, stranded: bool = False) -> Iterator[Region]:
    """The regions of a file, in its order; plain or compressed, ``-`` is standard input.

    Args:
        path: the file.
        stranded: whether each region needs a strand.
    Raises:
        UserError: no BED, an empty region, or a strand that is missing, with the line; or no region at all.
    """
    count = 0
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip() and not line.startswith(_OTHER_LINES):
                count += 1
                yield _region(line.rstrip("\r\n"), f"{path}, line {number:,}", stranded)
    if not count:
        raise UserError("no region in it", str(path), "give BED: chromosome, start and end, with tabs between")


def _region(line: str, where: str, stranded: bool) -> Region:
    columns = line.split("\t") if "\t" in line else line.split()
    if len(columns) < 3:
        raise UserError(f"{len(columns)} columns, got {shown(line)}", where, "give BED: chromosome, start, end")
    chromosome, first, last, name, _, sign = [*(column.strip() for column in columns[:6]), *[""] * 6][:6]
    if not (first.isascii() and first.isdecimal() and last.isascii() and last.isdecimal()):
        raise UserError(f"expected two whole numbers from 0, got {shown(first)} and {shown(last)}", where)
    if len(last.lstrip("0")) > _DIGITS:
        raise UserError(f"{shown(last)} is beyond the end of any chromosome", where)
    if not int(first) < int(last):
        raise UserError(f"a region from {first} to {last} is empty", where, "BED counts from 0, without the end")
    if sign not in (*_STRANDS, ""):
        raise UserError(f"expected the strand + or -, got {shown(sign)}", where, "column 6 has the strand")
    if stranded and not _STRANDS.get(sign, 0):
        raise UserError("no strand", where, "give + or - in column 6")
    return Region(chromosome, int(first), int(last), where, "" if name == "." else name, _STRANDS.get(sign, 0))


def bare_name(name: str) -> str:
    """The name of a chromosome as all genomes have it: without ``chr``, and M for MT."""
    bare = name[3:] if name[:3].lower() == "chr" else name
    return "M" if bare == "MT" else bare
