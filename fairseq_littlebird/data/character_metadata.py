"""The folder that ``littlebird-prepare characters`` writes; ``character_preparation.py`` writes it.

- ``dict.txt``: the characters of the training text, the most frequent first, or all 256 bytes in their order;
- ``characters.json``: the tokenizer, which says whether a token is a character or a byte;
- ``SPLIT.bin`` and ``SPLIT.idx``: fairseq's memory-mapped data set of token ids. One text from its first to its last
  character; where one item ends and the next begins means nothing;
- ``prepared.json``: the settings, and what was counted.
"""

from __future__ import annotations

from fairseq_littlebird.data.prepared import SPLITS
from fairseq_littlebird.data.prepared_json import NAME
from fairseq_littlebird.text.tokenizers.characters import NAME as TOKENIZER

VERSION = 1
DATASET = "characters"
NAMES = (NAME, "dict.txt", TOKENIZER, *(f"{split}.{end}" for split in SPLITS for end in ("bin", "idx")))
