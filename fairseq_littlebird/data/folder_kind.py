"""What a folder was prepared for, where a task is given that of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from fairseq_littlebird.data import (
    character_metadata,
    classification_metadata,
    dna_metadata,
    summarization_metadata,
)
from fairseq_littlebird.data.shards import folders
from fairseq_littlebird.errors import UserError


class Kind(NamedTuple):
    """What littlebird-prepare makes a folder for, and with which command; nothing where it does not."""

    title: str
    command: str


QUESTIONS = Kind("question answering", "littlebird-prepare qa")
TEXTS = Kind("classification", "littlebird-prepare classification")
SUMMARIES = Kind("summarization", "littlebird-prepare summarization")
CHARACTERS = Kind("character-level language models", "littlebird-prepare characters")
DNA = Kind("pretraining on DNA", "littlebird-prepare dna")
LINES = Kind("text", "fairseq-preprocess --only-source")


def check_kind(data: str, task: str, wanted: Kind, *others: Kind) -> None:
    """Raises UserError where a folder was prepared for another task.

    Args:
        data: folders joined by colons.
        task: its name.
        wanted: what it reads.
        others: what it reads, too.
    """
    for folder in folders(data):
        kind = _kind(folder)
        if kind is not None and kind not in (wanted, *others):
            what = f"this folder was prepared for {kind.title}"
            raise UserError(what, str(folder), f"--task {task} expects one of {wanted.command}")


def _kind(folder: Path) -> Kind | None:
    """None where nothing tells: no littlebird-prepare made it, or its prepared.json is damaged."""
    try:
        settings = json.loads((folder / "prepared.json").read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(settings, dict) or not isinstance(settings.get("dataset"), str):
        return None
    own = {
        character_metadata.DATASET: CHARACTERS,
        classification_metadata.DATASET: TEXTS,
        summarization_metadata.DATASET: SUMMARIES,
        dna_metadata.DATASET: DNA,
    }
    return own.get(settings["dataset"], QUESTIONS)
