"""Short sequences of DNA: records of a FASTA file, or a file with one on each line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.text.dna.fasta import MOST_OTHER_LETTERS, FastaReader
from fairseq_littlebird.text.dna.nucleotides import NOT_A_BASE, bases_of

LONGEST = 1_000_000
"""Bases; a longer one is a chromosome, given by mistake."""


class Sequence(NamedTuple):
    """A sequence.

    Args:
        name: of the record, or the number of the line.
        bases: upper-case letters of ``ALPHABET``.
        where: file, and record or line, for messages.
    """

    name: str
    bases: bytes
    where: str


def read_sequences(path: str | Path) -> Iterator[Sequence]:
    """The sequences of a file, in its order; plain or compressed. Empty lines and records are left out.

    Args:
        path: a file that can be read twice, FASTA if its first character is ``>``.
    Raises:
        UserError: protein or other text, a sequence that is too long, or none at all, with the line.
    """
    with open_text(path) as lines:
        is_fasta = lines.read(1) == ">"
    count = 0
    for sequence in _records(path) if is_fasta else _lines(path):
        if len(sequence.bases) > LONGEST:
            raise UserError(
                f"a sequence of more than {LONGEST:,} bases", sequence.where, "give promoters, not a genome"
            )
        count += 1
        yield sequence
    if not count:
        raise UserError("no sequence in it", str(path), "give FASTA, or a sequence on each line")


def _records(path: str | Path) -> Iterator[Sequence]:
    name, bases = "", bytearray()
    for piece in FastaReader(path):
        if piece.name != name and bases:
            yield Sequence(name, bytes(bases), f"{path}, record {name}")
            bases.clear()
        name = piece.name
        bases += piece.bases
        if len(bases) > LONGEST:
            break
    if bases:
        yield Sequence(name, bytes(bases), f"{path}, record {name}")


def _lines(path: str | Path) -> Iterator[Sequence]:
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            where, bases = f"{path}, line {number:,}", bases_of(line.encode())
            if not bases:
                continue
            if (other := bases.count(NOT_A_BASE)) > MOST_OTHER_LETTERS * len(bases):
                what = f"{other / len(bases):.0%} of the letters are no nucleotides, got {shown(line.strip(), 20)}"
                raise UserError(what, where, "give a sequence of DNA on each line, or FASTA")
            yield Sequence(str(number), bases.replace(NOT_A_BASE, b"N"), where)
