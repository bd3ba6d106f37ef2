"""TriviaQA scores, digit for digit as the official triviaqa_evaluation.py gives them (version 1.0 of the data)."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import squad
from fairseq_littlebird.metrics.json_files import FORMAT_REMEDY, items, question_id

_PUNCTUATION_TO_SPACES = str.maketrans(dict.fromkeys(string.punctuation + "\u2018\u2019\u00b4", " "))
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PAGES = ("EntityPages", "SearchResults")


def normalize(text: str) -> str:
    """Lower case, spaces for punctuation (ASCII, single quotes, acute accent), without English articles."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION_TO_SPACES)).split())


def exact_match(prediction: str, gold: str) -> float:
    """1.0 if both texts are the same once normalized, else 0.0."""
    return float(normalize(prediction) == normalize(gold))


def f1(prediction: str, gold: str) -> float:
    """F1 over the words of the normalized texts; 0.0 where neither has any."""
    return squad.overlap_f1(normalize(prediction).split(), normalize(gold).split())


def answers(gold: Any, where: str = "gold") -> dict[str, list[str]]:
    """The answer texts of each key, in the file's order: aliases, then those that people gave.

    The key is the question's id in a file of Wikipedia questions, else ``id--filename`` of a document. A verified
    file has only its verified questions, and documents, scored.

    Args:
        gold: the parsed JSON.
        where: what an error calls it, such as its file name.

    Raises:
        UserError: the format is another, a key comes again with other answers, there is no question, or no answer
            or verified document to one.
    """
    texts: dict[str, list[str]] = {}
    for number, question in enumerate(items(gold, "Data", where), 1):
        if gold.get("VerifiedEval") and not question.get("QuestionPartOfVerifiedEval"):
            continue
        identifier = question_id(question, "QuestionId", f"{where}, record {number}", {})
        spot = f"{where}, question {identifier}"
        found = _answer_texts(question, spot)
        for key in _keys(gold, question, spot):
            # A document may be listed twice; the official script counts it once.
            if texts.setdefault(key, found) != found:
                spot = f"{where}, question {key}"
                raise UserError("more than one question has this id", spot, "keep one of them")
    if not texts:
        raise UserError("no question in it", where, FORMAT_REMEDY)
    return texts


def evaluate(gold: Any, predictions: Mapping[str, str]) -> dict[str, float]:
    """``exact_match`` and ``f1`` in per cent over all keys, and counts; without prediction a key scores 0.

    Args:
        gold: the parsed TriviaQA JSON, of whatever version it says it is.
        predictions: key, see `answers`, to answer text. Those of other keys count in ``pred_len`` alone.

    Returns:
        Percentages and counts under the official script's keys, in its order.

    Raises:
        UserError: see `answers`.
    """
    texts = answers(gold)
    return {
        **squad.average(texts, predictions, exact_match, f1),
        "common": sum(key in predictions for key in texts),
        "denominator": len(texts),
        "pred_len": len(predictions),
        "gold_len": len(texts),
    }


def _answer_texts(question: dict[str, Any], where: str) -> list[str]:
    answer = question.get("Answer")
    if not isinstance(answer, dict):
        raise UserError("no object under 'Answer'", where, "take the question out or give its answer")
    aliases, human = answer.get("NormalizedAliases"), answer.get("HumanAnswers", [])
    for name, found in (("NormalizedAliases", aliases), ("HumanAnswers", human)):
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise UserError(f"no list of answer texts under {name!r}", where, FORMAT_REMEDY)
    if not aliases and not human:
        raise UserError("no answer to score against", where, "take the question out or give its answer")
    return [*(aliases or []), *human]


def _keys(gold: dict[str, Any], question: dict[str, Any], where: str) -> Iterator[str]:
    """What a prediction to the question is filed under."""
    domain = gold.get("Domain")
    if not isinstance(domain, str):
        raise UserError("no text under 'Domain'", where, FORMAT_REMEDY)
    if domain == "Wikipedia":
        yield question["QuestionId"]
        return
    pages = [page for name in _PAGES if name in question for page in items(question, name, where)]
    if gold.get("VerifiedEval") and domain == "Web":
        pages = [page for page in pages if page.get("DocPartOfVerifiedEval")]
        if not pages:
            raise UserError("no verified document for this verified question", where, FORMAT_REMEDY)
    for page in pages:
        if not isinstance(page.get("Filename"), str):
            raise UserError("a document without a text under 'Filename'", where, FORMAT_REMEDY)
        yield f"{question['QuestionId']}--{page['Filename']}"
