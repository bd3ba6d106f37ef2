"""WikiHop accuracy, in per cent as in the paper on QAngaroo (Welbl et al., 2018); it comes without a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics.json_files import FORMAT_REMEDY, question_id


def answers(gold: Any, where: str = "gold") -> dict[str, str]:
    """The candidate that answers each question, in the file's order.

    Args:
        gold: the parsed JSON, a list of records, masked or not.
        where: what an error calls it, such as its file name.

    Raises:
        UserError: the format is another, an id comes twice, there is no question, or no candidate answers one.
    """
    if not isinstance(gold, list) or not all(isinstance(record, dict) for record in gold):
        raise UserError("expected one list of records", where, FORMAT_REMEDY)
    texts: dict[str, str] = {}
    for number, record in enumerate(gold, 1):
        identifier = question_id(record, "id", f"{where}, record {number}", texts)
        spot = f"{where}, question {identifier}"
        answer, candidates = record.get("answer"), record.get("candidates")
        if not isinstance(answer, str):
            raise UserError("no text under 'answer'", spot, "take the question out or give its answer")
        if not isinstance(candidates, list) or answer not in candidates:
            raise UserError("the answer is none of the candidates", spot, FORMAT_REMEDY)
        texts[identifier] = answer
    if not texts:
        raise UserError("no question in it", where, FORMAT_REMEDY)
    return texts


def evaluate(gold: Any, predictions: Mapping[str, str]) -> dict[str, float]:
    """``accuracy``, the percentage of questions whose prediction is the answer, letter for letter.

    Args:
        gold: the parsed WikiHop JSON.
        predictions: question id to the chosen candidate; a question without one counts as wrong.

    Raises:
        UserError: see `answers`.
    """
    texts = answers(gold)
    right = sum(predictions.get(identifier) == answer for identifier, answer in texts.items())
    return {"accuracy": 100.0 * right / len(texts)}
