"""The folder that ``littlebird-prepare summarization`` writes; ``summarization_preparation.py`` writes it.

Beside ``dict.txt`` and the tokenizer's files it has, for each split, memory-mapped data sets (``.bin`` and ``.idx``)

- ``SPLIT.document``, int32: token ids of each document, from ``<s>`` to ``</s>``;
- ``SPLIT.summary``, int32: those of each summary, then ``</s>``; not where a split has no summaries;
- ``SPLIT.id``, uint8: each document's id, UTF-8;
- ``SPLIT.text``, uint8: the text of each document as the tokenizer read it, for pages;

and

- ``SPLIT.gold.jsonl``: ``{"id", "summary"}`` a line, what ``littlebird-evaluate`` compares with;
- ``prepared.json``: the settings, and what was counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fairseq_littlebird.data.prepared import SPLITS
from fairseq_littlebird.data.prepared_json import NAME, read_prepared_json
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers import FILES

VERSION = 1
DATASET = "summarization"
DOCUMENT, SUMMARY, ID, TEXT = "document", "summary", "id", "text"
PARTS: dict[str, type] = {DOCUMENT: np.int32, SUMMARY: np.int32, ID: np.uint8, TEXT: np.uint8}
NAMES = (
    *(NAME, *FILES),
    *(f"{split}.{part}.{end}" for split in SPLITS for part in PARTS for end in ("bin", "idx")),
    *(f"{split}.gold.jsonl" for split in SPLITS),
)


def read_summarization_settings(folder: str | Path) -> dict[str, Any] | None:
    """The content of a folder's ``prepared.json``; None where it has none.

    Raises:
        UserError: it is damaged, of another version or of another kind of data.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    other = UserError("not of documents and summaries", str(path), "make one: littlebird-prepare summarization")
    return read_prepared_json(path, DATASET, VERSION, other)


def is_summarization(folder: str | Path) -> bool:
    """Whether a folder is of documents and summaries."""
    try:
        return read_summarization_settings(folder) is not None
    except UserError:
        return False
