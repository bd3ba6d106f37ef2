"""SQuAD scores, digit for digit as the official evaluate-v1.1.py and evaluate-v2.0.py give them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics.json_files import FORMAT_REMEDY, items, question_id
from fairseq_littlebird.metrics.text_metric import PairScore

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize(text: str) -> str:
    """Lower case, without ASCII punctuation, English articles and surplus white space, in that order."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(prediction: str, gold: str) -> float:
    """1.0 if both texts are the same once normalized, else 0.0."""
    return float(normalize(prediction) == normalize(gold))


def f1(prediction: str, gold: str) -> float:
    """F1 over the words of the normalized texts; where one has no words, 1.0 if neither has (SQuAD 2.0)."""
    predicted_words, gold_words = normalize(prediction).split(), normalize(gold).split()
    if not predicted_words or not gold_words:
        return int(predicted_words == gold_words)  # an int as in the official script: sum() rounds by type
    return overlap_f1(predicted_words, gold_words)


def overlap_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of two bags of words or characters; 0.0 without overlap, so also for two empty ones (SQuAD 1.1)."""
    common = common_count(predicted, gold)
    if common == 0:
        return 0.0
    precision, recall = common / len(predicted), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def common_count(first: Sequence[str], second: Sequence[str]) -> int:
    """How many words or characters two bags of them share, each as often as it comes in both."""
    return sum((Counter(first) & Counter(second)).values())


def overlap_f1_of_texts(prediction: str, gold: str) -> float:
    """F1 over the words of the normalized texts, 0.0 where neither has any (SQuAD 1.1, MRQA)."""
    return overlap_f1(normalize(prediction).split(), normalize(gold).split())


def answers(gold: Any, where: str = "gold", unanswerable: bool | None = None) -> dict[str, list[str]]:
    """The answer texts of each question, in the file's order.

    Args:
        gold: the parsed SQuAD-format JSON.
        where: what an error calls it, such as its file name.
        unanswerable: whether a question may have no answer; None for what the file's version allows.

    Raises:
        UserError: the format is another, an id comes twice, there is no question, or no answer to one.
    """
    allowed = _is_version_2(gold, where) if unanswerable is None else unanswerable
    texts: dict[str, list[str]] = {}
    for spot, question in _questions(gold, where):
        identifier = question_id(question, "id", spot, texts)
        spot = f"{where}, question {identifier}"
        if question.get("answers") is None:
            raise UserError("this question has no answers to score against", spot, "give gold with answers")
        found = [answer.get("text") for answer in items(question, "answers", spot)]
        if not all(isinstance(text, str) for text in found):
            raise UserError("an answer without a 'text'", spot, FORMAT_REMEDY)
        if not found and not allowed:
            raise UserError("no answer to score against", spot, "take the question out or give its answer")
        texts[identifier] = [str(text) for text in found]
    if not texts:
        raise UserError("no question in it", where, FORMAT_REMEDY)
    return texts


def evaluate(
    gold: Any,
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None = None,
    threshold: float = 1.0,
) -> dict[str, float]:
    """Scores predictions as the official script of the file's version does.

    A file is SQuAD 2.0 if any question has the key ``is_impossible`` or its version begins with 2, else
    SQuAD 1.1. In 1.1 a question without prediction scores 0. In 2.0 the official script stops there
    without a score, and so does this function.

    Args:
        gold: the parsed SQuAD-format JSON.
        predictions: question id to answer text, "" for no answer. Those of other questions are ignored.
        null_odds: question id to the score of having no answer (2.0 only). The order of equal scores
            decides the best threshold, as it does in the official script.
        threshold: a question whose null odds exceed it counts as predicted to have no answer.

    Returns:
        Percentages and counts under the official script's keys, in its order.

    Raises:
        UserError: see `answers`; also for ids that the predictions or null odds of a 2.0 file lack.
    """
    texts = answers(gold)
    if _is_version_2(gold):
        return _evaluate_version_2(texts, predictions, null_odds, threshold)
    if null_odds is not None:
        raise UserError("null odds are of no use in SQuAD 1.1", remedy="leave them out")
    return average(texts, predictions, exact_match, overlap_f1_of_texts)


def average(
    texts: Mapping[str, Sequence[str]], predictions: Mapping[str, str], exact: PairScore, overlap: PairScore
) -> dict[str, float]:
    """Mean percentages over all questions, each at its best gold answer, 0 where no prediction is given."""
    exact_total = overlap_total = 0.0
    for identifier, golds in texts.items():
        # Added up one by one: from Python 3.12 on, sum() rounds otherwise than the official loop.
        if identifier in predictions:
            exact_total += max(exact(predictions[identifier], gold) for gold in golds)
            overlap_total += max(overlap(predictions[identifier], gold) for gold in golds)
    return {"exact_match": 100.0 * exact_total / len(texts), "f1": 100.0 * overlap_total / len(texts)}


def _evaluate_version_2(
    texts: dict[str, list[str]],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None,
    threshold: float,
) -> dict[str, float]:
    odds = dict.fromkeys(texts, 0.0) if null_odds is None else null_odds
    _require(predictions, texts, "prediction", 'give one for each question, "" for no answer')
    _require(odds, texts, "null odds", "give one number for each question")

    raw: dict[str, dict[str, float]] = {"exact": {}, "f1": {}}
    for identifier, golds in texts.items():
        candidates = [gold for gold in golds if normalize(gold)] or [""]
        raw["exact"][identifier] = max(exact_match(predictions[identifier], gold) for gold in candidates)
        raw["f1"][identifier] = max(f1(predictions[identifier], gold) for gold in candidates)
    scores = {
        name: {
            identifier: float(not texts[identifier]) if odds[identifier] > threshold else score
            for identifier, score in raw_scores.items()
        }
        for name, raw_scores in raw.items()
    }

    result: dict[str, float] = {}
    groups = {
        "": list(texts),
        "HasAns_": [identifier for identifier, golds in texts.items() if golds],
        "NoAns_": [identifier for identifier, golds in texts.items() if not golds],
    }
    for prefix, group in groups.items():
        if group:
            for name in ("exact", "f1"):
                result[prefix + name] = 100.0 * sum(scores[name][i] for i in group) / len(group)
            result[prefix + "total"] = len(group)
    if null_odds is not None:
        for name in ("exact", "f1"):
            best, best_threshold = _best_threshold(texts, predictions, raw[name], null_odds)
            result[f"best_{name}"] = best
            result[f"best_{name}_thresh"] = best_threshold
    return result


def _best_threshold(
    texts: dict[str, list[str]],
    predictions: Mapping[str, str],
    scores: dict[str, float],
    null_odds: Mapping[str, float],
) -> tuple[float, float]:
    """The best percentage that any null-odds threshold gives, and the lowest threshold that gives it."""
    total = best = float(sum(not golds for golds in texts.values()))  # the score of never answering
    threshold = 0.0
    for identifier in sorted(null_odds, key=null_odds.__getitem__):
        if identifier not in texts:
            continue
        if texts[identifier]:
            total += scores[identifier]
        elif predictions[identifier]:
            total -= 1.0
        if total > best:
            best, threshold = total, null_odds[identifier]
    return 100.0 * best / len(texts), threshold


def _questions(gold: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each question of the file, after the place where it stands."""
    for a, article in enumerate(items(gold, "data", where), 1):
        spot = f"{where}, article {a}"
        for p, paragraph in enumerate(items(article, "paragraphs", spot), 1):
            for question in items(paragraph, "qas", f"{spot}, paragraph {p}"):
                yield f"{spot}, paragraph {p}", question


def _is_version_2(gold: Any, where: str = "gold") -> bool:
    marked = any("is_impossible" in question for _, question in _questions(gold, where))
    version = gold.get("version")
    return marked or isinstance(version, (str, int, float)) and str(version).removeprefix("v").startswith("2")


def _require(given: Mapping[str, Any], wanted: Mapping[str, Any], what: str, remedy: str) -> None:
    missing = [identifier for identifier in wanted if identifier not in given]
    if missing:
        count = f"{len(missing)} of {len(wanted)} questions"
        raise UserError(f"no {what} for {count}, first {missing[0]}", remedy=remedy)
