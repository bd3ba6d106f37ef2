"""The folder that ``littlebird-prepare classification`` writes; ``classification_preparation.py`` writes it.

It is what fairseq's sentence_prediction reads: per split a memory-mapped data set (``.bin`` and ``.idx``) in

- ``input0/``, int32: token ids of each text, then ``</s>``; dict.txt and the tokenizer's files lie beside it;
- ``input1/``, int32: the same of the second texts, where there are pairs;
- ``label/``, int32: the numbers of each text's labels, then ``</s>``, as label/dict.txt has them: a text of several
  labels has several, or none. That dictionary's symbols are the labels' numbers from 0; prepared.json has their names;

and beside what fairseq reads

- ``id/``, uint8: each text's id, UTF-8;
- ``SPLIT.gold.json``: ``{id: label}`` or ``{id: [label, …]}``, what ``littlebird-evaluate`` compares with;
- ``prepared.json``: the settings, the labels in the order of their numbers, and what was counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from fairseq_littlebird.errors import UserError

VERSION = 1
DATASET = "classification"


@dataclass(frozen=True)
class ClassificationMetadata:
    """What a prepared folder says of its labels.

    Args:
        labels: names, in the order of their numbers.
        multi_label: whether a text has several labels, or none.
        unlabelled: the splits without labels.
    """

    labels: tuple[str, ...]
    multi_label: bool
    unlabelled: frozenset[str] = frozenset()


def read_metadata(folder: str | Path) -> ClassificationMetadata | None:
    """The labels of a folder; None where it has no prepared.json, as one that fairseq-preprocess made.

    Raises:
        UserError: prepared.json is damaged, of another version or of another kind of data.
    """
    path = Path(folder) / "prepared.json"
    if not path.exists():
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError("damaged", where=str(path), remedy="prepare the folder again") from error
    if not isinstance(settings, dict) or settings.get("dataset") != DATASET:
        raise UserError("not of labelled texts", where=str(path), remedy="make one: littlebird-prepare classification")
    if settings.get("version") != VERSION:
        raise UserError("of another version", where=str(path), remedy="prepare the folder again")
    labels, splits = settings.get("labels"), settings.get("splits")
    if not isinstance(splits, dict) or not all(isinstance(s, dict) and "labelled" in s for s in splits.values()):
        raise UserError("damaged", where=str(path), remedy="prepare the folder again")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise UserError("damaged", where=str(path), remedy="prepare the folder again")
    unlabelled = frozenset(split for split, summary in splits.items() if not summary["labelled"])
    return ClassificationMetadata(tuple(labels), bool(settings.get("multi_label")), unlabelled)
