"""Input files that a command reads more than once."""

from __future__ import annotations

from collections.abc import Iterable
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


def check_given_once(paths: Iterable[str | Path]) -> None:
    """Raises UserError where an input that can be read once is given for two: the second would be empty."""
    seen: set[str] = set()
    for path in map(str, paths):
        if path in seen and not is_rereadable(path):
            what = "standard input" if path == STDIN else "a pipe"
            raise UserError(f"{what} is given for two inputs", path, "save it as a file and give that")
        seen.add(path)
