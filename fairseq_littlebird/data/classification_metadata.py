"""The folder that ``littlebird-prepare classification`` writes; ``classification_preparation.py`` writes it.

It is what fairseq's sentence_prediction reads: per split a memory-mapped data set (``.bin`` and ``.idx``) in

- ``input0/``, int32: token ids of each text, then ``</s>``; dict.txt and the tokenizer's files lie beside it;
- ``input1/``, int32: the same of the second texts, where there are pairs;
- ``label/``, int32: the numbers of each text's labels, then ``</s>``, as label/dict.txt has them: a text of several
  labels has several, or none. That dictionary's symbols are the labels' numbers from 0; prepared.json has their names.
  In regression it is SPLIT.label instead, text: a line has a text's score, where 0 and 1 are the ends of the scores'
  range;

and beside what fairseq reads

- ``id/``, uint8: each text's id, UTF-8;
- ``SPLIT.gold.json``: ``{id: label}``, ``{id: [label, …]}`` or ``{id: score}``, what ``littlebird-evaluate`` compares
  with;
- ``prepared.json``: the settings, the problem type, the labels in the order of their numbers or the range of the
  scores, and what was counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_littlebird.data.prepared import SPLITS
from fairseq_littlebird.data.prepared_json import NAME, damaged, read_prepared_json
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.glue import GLUE_TASKS
from fairseq_littlebird.formats.problem_type import PROBLEM_TYPES, REGRESSION, SCORE, SINGLE_LABEL
from fairseq_littlebird.text.dna.places import Surroundings

VERSION = 2
DATASET = "classification"
TEXT_SPLITS = (*SPLITS, "valid1", "test1")
"""The last two are MNLI's mismatched ones."""


@dataclass(frozen=True)
class ClassificationMetadata:
    """What a prepared folder says of its labels.

    Args:
        labels: names, in the order of their numbers.
        problem_type: one of ``PROBLEM_TYPES``.
        unlabelled: the splits without labels or scores.
        score_range: of regression, the scores that 0 and 1 stand for.
        glue: the task of GLUE that it is, or nothing.
        max_tokens: to which its texts are cut, or None.
        surroundings: of DNA, what was cut out of a genome around regions, or None.
    """

    labels: tuple[str, ...]
    problem_type: str = SINGLE_LABEL
    unlabelled: frozenset[str] = frozenset()
    score_range: tuple[float, float] | None = None
    glue: str = ""
    max_tokens: int | None = None
    surroundings: Surroundings | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """What a model's outputs are called."""
        return (SCORE,) if self.problem_type == REGRESSION else self.labels

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps to know what its outputs mean: plain values."""
        own: dict[str, Any] = {"labels": list(self.labels), "problem_type": self.problem_type}
        return own | ({"score_range": list(self.score_range)} if self.score_range else {})


def read_metadata(folder: str | Path) -> ClassificationMetadata | None:
    """The labels of a folder; None where it has no prepared.json, as one that fairseq-preprocess made.

    Raises:
        UserError: prepared.json is damaged, of another version or of another kind of data.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    other = UserError("not of labelled texts", where=str(path), remedy="make one: littlebird-prepare classification")
    settings = read_prepared_json(path, DATASET, VERSION, other)
    labels, splits = settings.get("labels"), settings.get("splits")
    if not isinstance(splits, dict) or not all(isinstance(s, dict) and "labelled" in s for s in splits.values()):
        raise damaged(path)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise damaged(path)
    problem_type, score_range = settings.get("problem_type"), settings.get("score_range")
    glue = settings.get("glue") or ""
    if problem_type not in PROBLEM_TYPES or (glue and glue not in GLUE_TASKS):
        raise damaged(path)
    if (problem_type == REGRESSION) != is_range(score_range):
        raise damaged(path)
    unlabelled = frozenset(split for split, summary in splits.items() if not summary["labelled"])
    scores = (float(score_range[0]), float(score_range[1])) if score_range else None
    max_tokens, genome = settings.get("max_tokens"), settings.get("genome")
    surroundings = None if genome is None else Surroundings.of(genome)
    if not (max_tokens is None or isinstance(max_tokens, int)) or (genome is not None and surroundings is None):
        raise damaged(path)
    return ClassificationMetadata(tuple(labels), problem_type, unlabelled, scores, glue, max_tokens, surroundings)


def is_range(value: Any) -> bool:
    """Whether it is two finite numbers in ascending order."""
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(end, (int, float)) and math.isfinite(end) for end in value)
        and value[0] < value[1]
    )
