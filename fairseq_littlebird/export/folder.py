"""The folder of an export, and what it may take the place of."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.output import check_folder

MODEL_TYPES = ("littlebird", "led", "bigbird_pegasus")
"""What an export may be a model of."""


def check_export(folder: str | Path, names: Collection[str], overwrite: bool = False) -> None:
    """Raises UserError unless the folder is empty, or an export of this package that may be replaced.

    Args:
        folder: where to export to.
        names: patterns of the names that an export has.
        overwrite: whether it may be replaced.
    """
    folder = Path(folder)
    check_folder(folder, names, overwrite)
    if folder.exists() and any(folder.iterdir()) and not _is_export(folder / "config.json"):
        raise UserError(
            "the output folder holds another model or none", str(folder), "name another; --overwrite would delete it"
        )


def _is_export(config: Path) -> bool:
    try:
        content = json.loads(config.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("model_type") in MODEL_TYPES
