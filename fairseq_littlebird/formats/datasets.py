"""Which public data set's format a record has, told by the names of its members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Recognised(NamedTuple):
    """A data set's format.

    Args:
        name: what ``--dataset`` calls it.
        title: what people call it.
        matches: whether an object, the first record of a file, is of it.
    """

    name: str
    title: str
    matches: Callable[[dict[str, Any]], bool]


def _is_mrqa(record: dict[str, Any]) -> bool:
    if "qas" not in record:
        return "header" in record
    first = next(iter(record["qas"]), None) if isinstance(record["qas"], list) else None
    return "context" in record and isinstance(first, dict) and bool({"qid", "detected_answers"} & first.keys())


DATASETS = (
    Recognised("natural_questions", "Natural Questions' JSON lines", lambda r: "long_answer_candidates" in r),
    Recognised("triviaqa", "TriviaQA's JSON", lambda r: {"QuestionId", "Question"} <= r.keys()),
    Recognised("wikihop", "WikiHop's JSON", lambda r: {"query", "candidates", "supports"} <= r.keys()),
    Recognised("korquad2", "KorQuAD 2's JSON", lambda r: {"raw_html", "qas"} <= r.keys()),
    Recognised("mrqa", "MRQA's JSON lines", _is_mrqa),
    Recognised(
        "hotpotqa", "HotpotQA's JSON", lambda r: {"_id", "question"} <= r.keys() and isinstance(r.get("context"), list)
    ),
)


def recognised(record: Any) -> Recognised | None:
    """The data set whose format the record has; None for questions in another, such as SQuAD's."""
    if not isinstance(record, dict):
        return None
    return next((dataset for dataset in DATASETS if dataset.matches(record)), None)
