"""The folder that ``littlebird-prepare characters`` writes; ``character_preparation.py`` writes it.

- ``dict.txt``: the characters of the training text, the most frequent first, or all 256 bytes in their order;
- ``characters.json``: the tokenizer, which says whether a token is a character or a byte;
- ``SPLIT.bin`` and ``SPLIT.idx``: fairseq's memory-mapped data set of token ids. One text from its first to its last
  character; where one item ends and the next begins means nothing;
- ``prepared.json``: the settings, and what was counted.
"""

from __future__ import annotations

from pathlib import Path

from fairseq_littlebird.data.prepared import SPLITS
from fairseq_littlebird.data.prepared_json import NAME, read_prepared_json
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers.characters import NAME as TOKENIZER

VERSION = 1
DATASET = "characters"
NAMES = (NAME, "dict.txt", TOKENIZER, *(f"{split}.{end}" for split in SPLITS for end in ("bin", "idx")))


def is_characters(folder: Path) -> bool:
    """Whether a folder is of characters or bytes."""
    path = folder / NAME
    try:
        return path.exists() and bool(read_prepared_json(path, DATASET, VERSION, UserError("of another kind")))
    except UserError:
        return False
