"""MRQA 2019 scores, digit for digit as the shared task's mrqa_official_eval.py gives them (SQuAD 1.1's)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import squad
from fairseq_littlebird.metrics.json_files import FORMAT_REMEDY, items, question_id


def answers(gold: Sequence[dict[str, Any]], where: str = "gold") -> dict[str, list[str]]:
    """The answer texts of each question, in the file's order.

    Args:
        gold: the parsed lines: one context each with its ``qas``; a header may come first.
        where: what an error calls them, such as the file name.

    Raises:
        UserError: the format is another, an id comes twice, there is no question, or no answer to one.
    """
    texts: dict[str, list[str]] = {}
    for number, record in enumerate(gold, 1):
        if number == 1 and "header" in record:
            continue
        spot = f"{where}, record {number}"
        for question in items(record, "qas", spot):
            identifier = question_id(question, "qid" if "qid" in question else "id", spot, texts)
            found = question.get("answers")
            if not isinstance(found, list) or not found or not all(isinstance(text, str) for text in found):
                spot = f"{where}, question {identifier}"
                raise UserError("no list of answer texts under 'answers'", spot, FORMAT_REMEDY)
            texts[identifier] = found
    if not texts:
        raise UserError("no question in it", where, FORMAT_REMEDY)
    return texts


def evaluate(gold: Sequence[dict[str, Any]], predictions: Mapping[str, str]) -> dict[str, float]:
    """``exact_match`` and ``f1`` in per cent over all questions; without prediction a question scores 0.

    Args:
        gold: the parsed lines, see `answers`.
        predictions: question id to answer text.

    Raises:
        UserError: see `answers`.
    """
    return squad.average(answers(gold), predictions, squad.exact_match, squad.overlap_f1_of_texts)
