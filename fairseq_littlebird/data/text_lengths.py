"""How long the texts of a prepared folder are."""

from __future__ import annotations

from pathlib import Path

from fairseq_littlebird.data.classification_metadata import read_metadata
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError

GOLD = ".gold.json"


def text_lengths(gold: str | Path) -> dict[str, int]:
    """Text id -> tokens that a model reads of it, ``<s>`` and ``</s>`` included, both texts of a pair.

    Args:
        gold: the file SPLIT.gold.json of a folder of ``littlebird-prepare classification``.

    Raises:
        UserError: it is another file, or the folder is damaged.
    """
    path = Path(gold)
    if not path.name.endswith(GOLD) or read_metadata(path.parent) is None:
        remedy = "give SPLIT.gold.json in a folder of littlebird-prepare classification, which has the lengths"
        raise UserError("lengths of texts are not known", str(gold), remedy)
    folder, split = path.parent, path.name.removesuffix(GOLD)
    ids = MappedItems(folder / "id" / split)
    parts = [MappedItems(folder / part / split).sizes for part in ("input0", "input1") if (folder / part).is_dir()]
    # a text is stored with </s> behind it; <s>, or the second </s> of a pair, comes before it
    return {ids[index].tobytes().decode(): sum(int(sizes[index]) + 1 for sizes in parts) for index in range(len(ids))}
