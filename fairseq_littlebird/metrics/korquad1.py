"""KorQuAD 1.0 scores, digit for digit as the official evaluate-v1.0.py gives them: F1 over characters."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from fairseq_littlebird.metrics import squad

# Quotes and brackets part words; other ASCII punctuation vanishes without a gap.
_BRACKETS_TO_SPACES = str.maketrans(dict.fromkeys("'\"\u2018\u2019()<>〈〉《》", " "))
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize(text: str) -> str:
    """Without quotes, brackets and ASCII punctuation, lower case, single spaces between words."""
    return " ".join(text.translate(_BRACKETS_TO_SPACES).lower().translate(_NO_PUNCTUATION).split())


def exact_match(prediction: str, gold: str) -> float:
    """1.0 if both texts are the same once normalized (spaces count), else 0.0."""
    return float(normalize(prediction) == normalize(gold))


def f1(prediction: str, gold: str) -> float:
    """F1 over the characters of the normalized texts without spaces; 0.0 where neither has any."""
    return squad.overlap_f1(normalize(prediction).replace(" ", ""), normalize(gold).replace(" ", ""))


def answers(gold: Any, where: str = "gold") -> dict[str, list[str]]:
    """The answer texts of each question; see `squad.answers`. Every question must have one."""
    return squad.answers(gold, where, unanswerable=False)


def evaluate(gold: Any, predictions: Mapping[str, str]) -> dict[str, float]:
    """``exact_match`` and ``f1`` in per cent over all questions; without prediction a question scores 0.

    Args:
        gold: the parsed KorQuAD JSON, which has SQuAD's layout.
        predictions: question id to answer text.

    Raises:
        UserError: see `squad.answers`.
    """
    return squad.average(answers(gold), predictions, exact_match, f1)
