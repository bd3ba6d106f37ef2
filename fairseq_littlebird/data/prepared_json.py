"""``prepared.json``, the settings of every folder that ``littlebird-prepare`` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairseq_littlebird.errors import UserError

NAME = "prepared.json"


def damaged(path: Path) -> UserError:
    """What to raise of content that ``littlebird-prepare`` does not write."""
    return UserError("damaged", where=str(path), remedy="prepare the folder again")


def read_prepared_json(path: Path, dataset: str, version: int, other: UserError) -> dict[str, Any]:
    """The settings of a folder.

    Args:
        path: of the file, which is there.
        dataset: the kind of data that it has to name.
        version: of the folder.
        other: raised where it is of another kind.
    Raises:
        UserError: it is damaged, of another version or of another kind of data.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise damaged(path) from error
    if not isinstance(settings, dict) or settings.get("dataset") != dataset:
        raise other
    if settings.get("version") != version:
        raise UserError("of another version", where=str(path), remedy="prepare the folder again")
    return settings
