"""Checkpoints of older versions of this plugin."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fairseq_littlebird.errors import UserError

OLDER = re.compile(r"encoder\.(layers\.\d+\.q|embeddings\.words)\.")
"""Until 0.1.0 a layer's projections were its own, not its attention's, and the token embeddings were called words."""


def refuse_older(state: Iterable[str], where: str) -> None:
    """Raises UserError for the keys of a checkpoint whose layers' parameters have the names of an older version."""
    if any(OLDER.match(key) for key in state):
        raise UserError(
            "written by an older version, whose parameters have other names",
            where,
            "train it again, or start again from its source with littlebird-warm-start",
        )
