"""Input files that a command reads more than once."""

from __future__ import annotations

from pathlib import Path

from fairseq_littlebird.errors import UserError


def check_rereadable(path: str | Path) -> None:
    """Raises UserError for a pipe or terminal, which would give its rest or nothing when it is opened again."""
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError("read more than once, which a pipe cannot be", str(path), "save it as a file and give that")
