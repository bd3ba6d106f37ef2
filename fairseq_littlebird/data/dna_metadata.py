"""The folder that ``littlebird-prepare dna`` writes; ``dna_preparation.py`` writes it.

Beside ``dict.txt`` and the tokenizer's files it has, for each split, memory-mapped data sets (``.bin`` and ``.idx``):

- ``SPLIT``, as ``fairseq-preprocess --only-source`` would write it: token ids of each sentence, then ``</s>``; an item
  of ``</s>`` alone ends each document;
- ``SPLIT.places``, int64, an item a document: the number of its chromosome, its lowest base, 1 or -1 for the strand,
  and the number of bases of each of its sentences;

and ``prepared.json``: the settings, the chromosomes in the order of their numbers, and what was counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairseq_littlebird.data.prepared_json import NAME, damaged, read_prepared_json
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.splits import TRAIN, VALID
from fairseq_littlebird.text.tokenizers import FILES

VERSION = 1
DATASET = "dna"
PLACES = "places"
HEAD = 3
"""Numbers of a place before those of the sentences."""
SPLITS = (TRAIN, VALID)
NAMES = (
    NAME,
    *FILES,
    *(f"{split}{part}.{end}" for split in SPLITS for part in ("", f".{PLACES}") for end in ("bin", "idx")),
)


def read_dna_settings(folder: str | Path) -> dict[str, Any]:
    """The content of a folder's ``prepared.json``.

    Raises:
        UserError: there is none; it is damaged, of another version or of another kind of data.
    """
    path = Path(folder) / NAME
    other = UserError("not of DNA", str(folder), "make one: littlebird-prepare dna")
    if not path.exists():
        raise other
    settings = read_prepared_json(path, DATASET, VERSION, other)
    if not isinstance(settings.get("splits"), dict):
        raise damaged(path)
    return settings
