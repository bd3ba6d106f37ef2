"""FASTA files, read in pieces: no record is ever in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.opening import open_binary
from fairseq_littlebird.text.dna.nucleotides import NOT_A_BASE, bases_of

CHUNK = 1 << 20
"""Bytes read at once."""
LONGEST_HEADER = 1 << 16
MOST_OTHER_LETTERS = 0.05
"""The share of a record's letters that may be no nucleotides: they become N. Of protein about a third are none."""
_ENOUGH_LETTERS = 1000
_MARK = b"\xef\xbb\xbf"
_OTHER_FORMATS = {
    b"@": "FASTQ, whose records begin with @; give FASTA",
    b"\x43\x27\x41\x1a": "a 2bit file; convert it with twoBitToFa",
    b"\x1a\x41\x27\x43": "a 2bit file; convert it with twoBitToFa",
    b"LOCUS": "a GenBank file; give FASTA",
    b"ID   ": "an EMBL file; give FASTA",
    b"\xff\xfe": "UTF-16 text; convert it to UTF-8",
    b"\xfe\xff": "UTF-16 text; convert it to UTF-8",
}


class Piece(NamedTuple):
    """Consecutive bases of a record.

    Args:
        name: the record's, the first word of its header.
        start: of the first base in the record, from 0.
        bases: upper-case letters of ``ALPHABET``, at least one.
    """

    name: str
    start: int
    bases: bytes

    @property
    def end(self) -> int:
        """One after the last base."""
        return self.start + len(self.bases)


class FastaReader:
    """The pieces of all records of a file, in its order; plain or compressed, ``-`` is standard input.

    Lower case becomes upper case, U becomes T, IUPAC's codes for several bases become N, and so do other letters where
    they are few. Lines may end in ``\\r\\n`` and be of any length. Records without a base have no piece.

    Args:
        path: the file.
        chunk: bytes read at once.
    Attributes (of what was read so far):
        records: headers.
        empty: records without a base.
        bases: of all records.
        replaced: letters that are no nucleotides, which became N.
        bytes: of the file, unpacked.
    Raises (while it is iterated):
        UserError: not FASTA, a record without a name, a name that comes twice, protein sequence, or no base at all;
            with the line.
    """

    def __init__(self, path: str | Path, chunk: int = CHUNK) -> None:
        self.path, self._chunk = path, chunk
        self.records = self.empty = self.bases = self.replaced = self.bytes = 0

    def __iter__(self) -> Iterator[Piece]:
        self._names: set[str] = set()
        self._name, self._begun, self._place = "", False, ""
        self._length = self._other = 0
        with open_binary(self.path) as stream:
            line, at_line_start, header = 1, True, None
            while chunk := stream.read(self._chunk):
                if not self.bytes:
                    self._check_format(chunk)
                    chunk = chunk.removeprefix(_MARK)
                self.bytes += len(chunk)
                position = 0
                while position < len(chunk):
                    if header is not None:
                        end = chunk.find(b"\n", position)
                        header += chunk[position:] if end < 0 else chunk[position:end]
                        if len(header) > LONGEST_HEADER:
                            what = f"a header line of more than {LONGEST_HEADER:,} bytes"
                            raise UserError(what, self._where(line), "give FASTA whose lines end in newlines")
                        position = len(chunk) if end < 0 else end + 1
                        if end >= 0:
                            self._begin(header, line)
                            line, at_line_start, header = line + 1, True, None
                        continue
                    if at_line_start and chunk[position] == ord(">"):
                        self._end()
                        header, position = b"", position + 1
                        continue
                    found = chunk.find(b"\n>", position)
                    stop = len(chunk) if found < 0 else found + 1
                    part = chunk[position:stop]
                    if bases := self._bases(part, line):
                        yield Piece(self._name, self._length - len(bases), bases)
                    line += part.count(b"\n")
                    at_line_start, position = part.endswith(b"\n"), stop
            if header is not None:
                self._begin(header, line)
            self._end()
        if not self.bases:
            what = "no base in any of its records" if self.records else "no record in it"
            raise UserError(what, str(self.path), "give FASTA: a line >NAME, then lines of bases")

    def _where(self, line: int) -> str:
        return f"{self.path}, line {line:,}"

    def _check_format(self, head: bytes) -> None:
        for mark, what in _OTHER_FORMATS.items():
            if head.startswith(mark):
                raise UserError(f"not FASTA but {what}", self._where(1))

    def _begin(self, header: bytes, line: int) -> None:
        words = header.decode("utf-8", "replace").split(maxsplit=1)
        if not words:
            raise UserError("a record without a name", self._where(line), "write >NAME")
        if words[0] in self._names:
            raise UserError(f"the record {words[0]!r} comes twice", self._where(line), "give each a name of its own")
        self._names.add(words[0])
        self._name, self._begun, self._place = words[0], True, ""
        self._length = self._other = 0
        self.records += 1

    def _bases(self, part: bytes, line: int) -> bytes:
        """The bases of some lines, which begin in the line of this number."""
        bases = bases_of(part)
        if not bases:
            return b""
        if not self._begun:
            skipped = part[: len(part) - len(part.lstrip())].count(b"\n")
            begins = shown(part.split()[0].decode("utf-8", "replace"), 20)
            remedy = "begin each record with a line >NAME"
            raise UserError(
                f"not FASTA: expected a line that begins with >, got {begins}", self._where(line + skipped), remedy
            )
        self._length += len(bases)
        self.bases += len(bases)
        if other := bases.count(NOT_A_BASE):
            if not self._other:
                at = bases_of(part, keep_space=True).index(NOT_A_BASE)
                self._place = self._where(line + part[:at].count(b"\n"))
                self._letter = shown(part[at : at + 1].decode("utf-8", "replace"))
            self._other += other
            self.replaced += other
            bases = bases.replace(NOT_A_BASE, b"N")
        if self._length >= _ENOUGH_LETTERS:
            self._check_letters()
        return bases

    def _check_letters(self) -> None:
        if self._other > MOST_OTHER_LETTERS * self._length:
            share = self._other / self._length
            raise UserError(
                f"{share:.0%} of the letters of {self._name} are no nucleotides, the first {self._letter}",
                self._place,
                "give DNA, not protein or other text",
            )

    def _end(self) -> None:
        """Checks the record that ends here, if any."""
        self._check_letters()
        self.empty += self._begun and not self._length
