"""Input files that a command reads more than once."""

from __future__ import annotations

from pathlib import Path

from fairseq_littlebird.errors import UserError

STDIN = "-"
"""Standard input, where a file is asked for."""


def is_rereadable(path: str | Path) -> bool:
    """Whether a file can be opened again from its beginning: standard input, pipes and terminals cannot."""
    return str(path) != STDIN and (Path(path).is_file() or Path(path).is_dir() or not Path(path).exists())


def check_rereadable(path: str | Path) -> None:
    """Raises UserError where :func:`is_rereadable` does not hold: a second opening would give the rest, or nothing."""
    if not is_rereadable(path):
        raise UserError("read more than once, which a pipe cannot be", str(path), "save it as a file and give that")
