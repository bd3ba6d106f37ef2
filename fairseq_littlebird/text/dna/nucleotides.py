"""The letters of DNA: what a base is, what stands for an unknown one, and the opposite strand."""

from __future__ import annotations

BASES = "ACGT"
ALPHABET = "ACGTN"
"""The four bases, and N for one that is not known."""

_AMBIGUOUS = "RYSWKMBDHVN-."
"""IUPAC's codes for one of several bases, and gaps of an alignment."""

NOT_A_BASE = b"?"
SPACE = b" \t\r\n\v\f"


def _table() -> bytes:
    """What each of 256 bytes becomes: one of ``ALPHABET``, or ``NOT_A_BASE``."""
    table = bytearray(NOT_A_BASE * 256)
    letters = {letter: letter for letter in BASES} | {"U": "T"} | dict.fromkeys(_AMBIGUOUS, "N")
    for letter, base in letters.items():
        table[ord(letter)] = table[ord(letter.lower())] = ord(base)
    for space in SPACE:
        table[space] = space
    return bytes(table)


_TO_BASES = _table()
_COMPLEMENT = bytes.maketrans(b"ACGTN", b"TGCAN")


def bases_of(text: bytes, keep_space: bool = False) -> bytes:
    """Letters in either case as upper-case ``ALPHABET``: U is T, IUPAC's other codes are N.

    Args:
        text: letters and white space.
        keep_space: leave white space where it is, so that places stay; otherwise it is left out.
    Returns:
        The bases, with ``NOT_A_BASE`` for what is no nucleotide.
    """
    return text.translate(_TO_BASES, b"" if keep_space else SPACE)


def reverse_complement(bases: bytes) -> bytes:
    """The opposite strand of ``ALPHABET``, read in its own direction; twice gives the same again."""
    return bases.translate(_COMPLEMENT)[::-1]
