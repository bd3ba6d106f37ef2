"""Accuracy, F1, Matthews' correlation and AUROC of classification, as scikit-learn defines them.

Figures are fractions of 1. They equal accuracy_score, f1_score, matthews_corrcoef and roc_auc_score up to rounding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.texts import label_order, scalar_label
from fairseq_littlebird.metrics.correlation import matthews
from fairseq_littlebird.metrics.json_files import FORMAT_REMEDY, is_number, read_json

PROBABILITIES = "probabilities"
RATES = "sensitivity", "specificity"
"""The shares of the examples of the second and of the first of two labels that are given theirs."""


def read_predictions(path: str) -> dict[str, Any]:
    """A predictions file, one JSON object, example id to what `evaluate` takes.

    Raises:
        UserError: it is no JSON object.
        OSError: it cannot be read.
    """
    predictions = read_json(path)
    if not isinstance(predictions, dict):
        raise UserError("expected one JSON object, example id to labels", path, "give {id: labels, ...}")
    return predictions


def answers(gold: Any, where: str = "gold") -> dict[str, frozenset[str]]:
    """The labels of each example, numbers as text, in the file's order.

    Args:
        gold: the parsed JSON, ``{example id: label}`` or ``{example id: list of labels}``, which may be empty.
        where: what an error calls it, such as its file name.

    Raises:
        UserError: the format is another, the two kinds are mixed, or there is no example.
    """
    if not isinstance(gold, dict) or not gold:
        raise UserError("no example in it, or no JSON object", where, "give {id: label} or {id: [label, ...]}")
    single = _is_single(gold)
    truth = {}
    for identifier, labels in gold.items():
        spot = f"{where}, example {identifier}"
        if isinstance(labels, list) == single:
            raise UserError("one label here, a list of labels there", spot, "give lists for all or for none")
        truth[identifier] = frozenset(_label(label, spot) for label in ([labels] if single else labels))
    return truth


def evaluate(
    gold: Any, predictions: Mapping[str, Any], threshold: float = 0.5, labels: Sequence[str] = ()
) -> dict[str, float]:
    """Accuracy, micro and macro F1, and AUROC where every example has a score for each label.

    In single-label classification also Matthews' correlation, and of two labels F1 of the second: of ``labels``, of
    the scored ones, else of those that occur, sorted; so of 1 beside 0, and of pos beside neg. Sensitivity is the share
    of its examples that are given it, specificity that of the first label's.

    In single-label classification the highest score wins, of equal ones the first; macro F1 is over the labels
    that are true or predicted somewhere. In multi-label classification accuracy asks for all labels of an example
    at once, and macro F1 is over scored labels too. AUROC is of each label against all others; the macro average
    leaves out labels that all examples have or none. An example without prediction has no label predicted.

    Args:
        gold: the parsed JSON, see `answers`.
        predictions: example id to its label, its list of labels, probabilities ``{label: score}``, or, as
            ``littlebird-predict`` writes it, ``{"label": label, "probabilities": {label: score}}`` (``"labels"`` with
            a list); of one kind for all. Those of other examples are ignored.
        threshold: in multi-label classification, the lowest score that predicts a label where only scores are given.
        labels: all there are, in the order of their numbers, where they are known.

    Returns:
        ``accuracy``, ``micro_f1``, ``macro_f1``, of one label an example ``mcc`` and of two labels ``f1``,
        ``sensitivity`` and ``specificity``; where it is defined, ``macro_auroc`` and ``micro_auroc``.

    Raises:
        UserError: see `answers`; the predictions have another format, or lack the score of a label.
    """
    truth, single = answers(gold), _is_single(gold)
    given = {key: predictions[key] for key in truth if key in predictions}
    name = "label" if single else "labels"
    chosen = {key: value[name] for key, value in given.items() if _is_record(value, name)}
    given |= {key: given[key][PROBABILITIES] for key in chosen}
    scored = any(isinstance(value, dict) for value in given.values())
    scores: dict[str, dict[str, float]] = {}
    predicted = dict.fromkeys(truth, frozenset[str]())
    for key, value in given.items():
        spot = f"example {key}"
        if scored:
            scores[key] = _scores(value, spot)
        if scored and key not in chosen:
            predicted[key] = _chosen(scores[key], single, threshold)
        else:
            predicted[key] = _given(chosen.get(key, value), single, spot)
    names = _scored_labels(scores, truth)

    found = frozenset().union(*truth.values(), *predicted.values(), () if single else names)
    hits = Counter(label for key in truth for label in truth[key] & predicted[key])
    truths, guesses = (Counter(label for key in truth for label in side[key]) for side in (truth, predicted))
    sizes = truths + guesses
    result = {
        "accuracy": sum(truth[key] == predicted[key] for key in truth) / len(truth),
        "micro_f1": _ratio(2 * hits.total(), sizes.total()),
        "macro_f1": _ratio(math.fsum(_ratio(2 * hits[label], sizes[label]) for label in found), len(found)),
    }
    if single:
        missing = len(truth) - guesses.total()  # an example without a prediction has a class of its own
        sides = [*(truths[k] for k in found), 0], [*(guesses[k] for k in found), missing]
        result["mcc"] = matthews(hits.total(), *sides, len(truth))
        every = [*labels] or names or sorted(found, key=label_order)
        if len(every) == 2:
            result["f1"] = _ratio(2 * hits[every[1]], sizes[every[1]])
            result |= {name: _ratio(hits[of], truths[of]) for name, of in zip(RATES, reversed(every), strict=True)}
    if names and len(scores) == len(truth):
        pairs = {name: [(scores[key][name], name in truth[key]) for key in truth] for name in names}
        each = [area for area in map(auroc, pairs.values()) if area is not None]
        pooled = auroc(pair for column in pairs.values() for pair in column)
        if each:
            result["macro_auroc"] = math.fsum(each) / len(each)
        if pooled is not None:
            result["micro_auroc"] = pooled
    return result


def auroc(pairs: Iterable[tuple[float, bool]]) -> float | None:
    """The share of pairs of a positive and a negative where the positive has the higher score, equal ones half.

    Args:
        pairs: score, and whether it is a positive's.

    Returns:
        The area under the ROC curve; None without any positive or without any negative.
    """
    below = doubled = positives = 0
    for _, equal in groupby(sorted(pairs), key=lambda pair: pair[0]):
        here = [positive for _, positive in equal]
        ups = sum(here)
        downs = len(here) - ups
        doubled += ups * (2 * below + downs)
        positives += ups
        below += downs
    return doubled / (2 * positives * below) if positives and below else None


def _is_record(value: Any, name: str) -> bool:
    """Whether it is what ``littlebird-predict`` writes, and not the scores of labels with such names."""
    return isinstance(value, dict) and value.keys() == {name, PROBABILITIES} and isinstance(value[PROBABILITIES], dict)


def _given(value: Any, single: bool, where: str) -> frozenset[str]:
    if isinstance(value, list) == single:
        wanted = "one label" if single else "a list of labels"
        raise UserError(f"found {shown(value)}", where, f"give {wanted}, as the gold file does")
    return frozenset(_label(label, where) for label in ([value] if single else value))


def _chosen(scores: dict[str, float], single: bool, threshold: float) -> frozenset[str]:
    if single:
        return frozenset([max(scores, key=scores.__getitem__)])
    return frozenset(label for label, score in scores.items() if score >= threshold)


def _scored_labels(scores: dict[str, dict[str, float]], truth: dict[str, frozenset[str]]) -> list[str]:
    """The labels that have scores, the same for every example and no fewer than the gold has."""
    if not scores:
        return []
    names = list(next(iter(scores.values())))
    for key, found in scores.items():
        lacking = (found.keys() ^ set(names)) | (truth[key] - found.keys())
        if lacking:
            remedy = "give a score for each label of the data set, in each example"
            raise UserError(f"no score for label {min(lacking)!r} here or elsewhere", f"example {key}", remedy)
    return names


def _scores(value: Any, where: str) -> dict[str, float]:
    if not isinstance(value, dict) or not value:
        raise UserError(f"no scores, found {shown(value)}", where, "give scores for all examples or for none")
    for label, score in value.items():
        if not is_number(score):
            raise UserError(f"the score of {label!r} is {shown(score)}", where, "give a number")
    return value


def _is_single(gold: Mapping[str, Any]) -> bool:
    return not isinstance(next(iter(gold.values())), list)


def _label(value: Any, where: str) -> str:
    name = scalar_label(value)
    if name is None:
        raise UserError(f"expected a label, found {shown(value)}", where, FORMAT_REMEDY)
    return name


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
