"""HotpotQA scores, digit for digit as the official hotpot_evaluate_v1.py gives them: fractions, not per cent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.metrics import squad
from fairseq_littlebird.metrics.json_files import FORMAT_REMEDY, check_texts, question_id, read_json

PARTS = ("answer", "sp")  # the two maps of a prediction file

Fact = tuple[str, int]  # title of a paragraph, index of a sentence in it

_FACT_REMEDY = "give one list of [title, sentence index] a question"
_WHOLE_ANSWERS = ("yes", "no", "noanswer")  # all right or all wrong: words that they share with a span do not count


class Scores(NamedTuple):
    """The four scores of one question's answer, of its supporting facts or of both, from 0 to 1."""

    em: float
    f1: float
    prec: float
    recall: float


_KINDS = ("", "sp_", "joint_")
_KEYS = [kind + name for kind in _KINDS for name in Scores._fields]


def answer_scores(prediction: str, gold: str) -> Scores:
    """Scores over the words of the texts, normalized as in SQuAD."""
    prediction, gold = squad.normalize(prediction), squad.normalize(gold)
    if prediction != gold and (prediction in _WHOLE_ANSWERS or gold in _WHOLE_ANSWERS):
        return Scores(0.0, 0.0, 0.0, 0.0)
    predicted_words, gold_words = prediction.split(), gold.split()
    common = squad.common_count(predicted_words, gold_words)
    return _scores(prediction == gold, _share(common, predicted_words), _share(common, gold_words))


def fact_scores(prediction: Sequence[Any], gold: frozenset[Fact]) -> Scores:
    """Scores over the supporting facts, [title, sentence index] each, in any order; a repeated one counts once."""
    predicted = frozenset(map(tuple, prediction))  # whatever it holds, as the official script does
    common = len(predicted & gold)
    return _scores(predicted == gold, _share(common, predicted), _share(common, gold))


def answers(gold: Any, where: str = "gold") -> dict[str, tuple[str, frozenset[Fact]]]:
    """The answer text and the supporting facts of each question, in the file's order.

    Args:
        gold: the parsed JSON, a list of records.
        where: what an error calls it, such as its file name.

    Raises:
        UserError: the format is another, an id comes twice, there is no question, or no answer or facts to one.
    """
    if not isinstance(gold, list) or not all(isinstance(record, dict) for record in gold):
        raise UserError("expected one list of records", where, FORMAT_REMEDY)
    wanted: dict[str, tuple[str, frozenset[Fact]]] = {}
    for number, record in enumerate(gold, 1):
        identifier = question_id(record, "_id", f"{where}, record {number}", wanted)
        spot = f"{where}, question {identifier}"
        if not isinstance(record.get("answer"), str):
            raise UserError("no text under 'answer'", spot, "take the question out or give its answer")
        facts = record.get("supporting_facts")
        if not _are_facts(facts):
            raise UserError("no list of [title, sentence index] under 'supporting_facts'", spot, FORMAT_REMEDY)
        wanted[identifier] = record["answer"], frozenset((title, sentence) for title, sentence in facts)
    if not wanted:
        raise UserError("no question in it", where, FORMAT_REMEDY)
    return wanted


def read_predictions(path: str) -> dict[str, dict[str, Any]]:
    """A predictions file, ``{"answer": {id: text}, "sp": {id: [[title, sentence index], ...]}}``.

    Raises:
        UserError: the file is not UTF-8, not JSON or of another format.
        OSError: it cannot be read.
    """
    content = read_json(path)
    for part in PARTS:
        if not isinstance(content, dict) or not isinstance(content.get(part), dict):
            remedy = 'give {"answer": {id: text}, "sp": {id: [[title, sentence index], ...]}}'
            raise UserError(f"no object under {part!r}", path, remedy)
    check_texts(content["answer"], f"{path}, answer")
    for identifier, facts in content["sp"].items():
        try:
            fact_scores(facts, frozenset())
        except TypeError as error:  # the official script ends here too
            spot = f"{path}, sp, question {identifier}"
            raise UserError(f"expected the supporting facts, found {shown(facts)}", spot, _FACT_REMEDY) from error
    return content


def malformed(predictions: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The questions with a predicted fact that is not [title, sentence index], which counts as a wrong one."""
    return [identifier for identifier, facts in predictions["sp"].items() if not _are_facts(facts)]


def evaluate(gold: Any, predictions: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Mean scores of answers, supporting facts and both jointly, over all questions.

    A question without a predicted answer scores 0 there and jointly, one without facts likewise. Joint
    precision and recall are the products of a question's own two.

    Args:
        gold: the parsed HotpotQA JSON.
        predictions: ``answer``, question id to text, and ``sp``, question id to a list of [title, sentence index].
            Those of other questions are ignored.

    Returns:
        Fractions from 0 to 1 under the official script's keys, in its order.

    Raises:
        UserError: see `answers`.
    """
    wanted = answers(gold)
    totals = dict.fromkeys(_KEYS, 0.0)
    for identifier, (text, facts) in wanted.items():
        scored: dict[str, Scores] = {}
        if identifier in predictions["answer"]:
            scored[""] = answer_scores(predictions["answer"][identifier], text)
        if identifier in predictions["sp"]:
            scored["sp_"] = fact_scores(predictions["sp"][identifier], facts)
        if len(scored) == 2:
            answer, support = scored[""], scored["sp_"]
            precision, recall = answer.prec * support.prec, answer.recall * support.recall
            scored["joint_"] = _scores(bool(answer.em and support.em), precision, recall)
        for kind, scores in scored.items():
            for name, score in scores._asdict().items():
                totals[kind + name] += score
    return {key: total / len(wanted) for key, total in totals.items()}


def _scores(match: bool, precision: float, recall: float) -> Scores:
    f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return Scores(float(match), f1, precision, recall)


def _share(common: int, of: Sequence[str] | frozenset[Fact]) -> float:
    return common / len(of) if of else 0.0


def _are_facts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(fact, list)
        and len(fact) == 2
        and isinstance(fact[0], str)
        and isinstance(fact[1], int)
        and not isinstance(fact[1], bool)
        for fact in value
    )
