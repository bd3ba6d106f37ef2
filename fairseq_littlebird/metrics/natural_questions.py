"""Natural Questions scores, digit for digit as the official nq_eval.py prints them.

Long and short answers are scored apart: an answer is right or wrong as a whole, and the threshold on its score
is the one that gives the best F1. All figures are fractions of 1, as in the official script.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.metrics.json_files import FORMAT_REMEDY, each_json_line, files_of, is_number, items, read_json

ANNOTATORS_THAT_AGREE = 2  # so many must have seen an answer, or there is none
PRECISIONS = (0.5, 0.75, 0.9)
YES_NO = ("yes", "no", "none")


class Span(NamedTuple):
    """Offsets of an answer in the page, ends exclusive; -1 where they are not given, four times for no answer."""

    start_byte: int = -1
    end_byte: int = -1
    start_token: int = -1
    end_token: int = -1

    def is_null(self) -> bool:
        """Whether this stands for no answer."""
        return max(self) < 0

    def matches(self, other: Span) -> bool:
        """Whether both have the same bytes or the same tokens."""
        same_bytes = self.start_byte >= 0 and self[:2] == other[:2]
        return same_bytes or (self.start_token >= 0 and self[2:] == other[2:])


class Answer(NamedTuple):
    """What one annotator, or the system, says of one example."""

    long: Span
    short: list[Span]  # null spans left out
    yes_no: str  # "yes", "no" or "none"

    def has_short(self) -> bool:
        """Whether there is a short answer of any kind, spans or yes or no."""
        return bool(self.short) or self.yes_no != "none"


class Row(NamedTuple):
    """One example's outcome, for long or for short answers."""

    gold: bool
    predicted: bool
    correct: bool
    score: float


def read_gold(path: str) -> list[dict[str, Any]]:
    """The examples' ids and annotations; the pages themselves, some GB, are left behind line by line.

    Args:
        path: a .jsonl file, gzipped or not; a folder with .jsonl or .jsonl.gz files; or a pattern such as
            ``dev/nq-dev-??.jsonl.gz``.

    Raises:
        UserError: no such file, or it holds something else than one JSON object a line.
        OSError: it cannot be read.
    """
    records = []
    for file in files_of(path, ".jsonl", ".jsonl.gz"):
        for number, record in enumerate(each_json_line(file), 1):
            if "annotations" not in record:
                spot = f"{file}, record {number}"
                raise UserError("no annotations in it", spot, "give the file with the answers, such as nq-dev")
            records.append({key: record.get(key) for key in ("example_id", "annotations")})
    return records


def read_predictions(path: str) -> dict[Any, dict[str, Any]]:
    """The records of a predictions file, ``{"predictions": [{"example_id": …}, …]}``, by their example's id.

    Raises:
        UserError: the format is another, or an example comes twice.
        OSError: it cannot be read.
    """
    predictions: dict[Any, dict[str, Any]] = {}
    for number, record in enumerate(items(read_json(path), "predictions", path), 1):
        predictions[_example_id(record, f"{path}, prediction {number}", predictions)] = record
    return predictions


def answers(gold: Sequence[dict[str, Any]], where: str = "gold") -> dict[Any, list[Answer]]:
    """Each annotator's answer to each example, in the file's order.

    Args:
        gold: the parsed lines, in the original format or in the simplified one, which has no bytes.
        where: what an error calls them, such as the file name.

    Raises:
        UserError: the format is another, an id comes twice, there is no example, or no annotation to one.
    """
    found: dict[Any, list[Answer]] = {}
    for number, record in enumerate(gold, 1):
        identifier = _example_id(record, f"{where}, record {number}", found)
        spot = f"{where}, example {identifier}"
        annotations = items(record, "annotations", spot)
        if not annotations:
            raise UserError("no annotation to score against", spot, "take the example out or annotate it")
        for annotation in annotations:
            for key in ("long_answer", "short_answers", "yes_no_answer"):
                if key not in annotation:
                    raise UserError(f"an annotation without {key!r}", spot, FORMAT_REMEDY)
        found[identifier] = [_answer(annotation, spot) for annotation in annotations]
    if not found:
        raise UserError("no example in it", where, FORMAT_REMEDY)
    return found


def evaluate(gold: Sequence[dict[str, Any]], predictions: Mapping[Any, dict[str, Any]]) -> dict[str, float]:
    """F1, precision and recall at the best threshold, and the recall at given precisions, for long and short.

    An example has an answer if at least two annotators gave one; the answer of any annotator is then right.

    Args:
        gold: the parsed lines, see `answers`.
        predictions: example id to its record, with ``long_answer_score`` and ``short_answers_score``, and
            ``long_answer``, ``short_answers`` and ``yes_no_answer`` where there is such an answer.

    Returns:
        Fractions and thresholds under the official script's keys, in its order.

    Raises:
        UserError: see `answers`; a prediction has another format, or the examples are not the gold's.
    """
    annotated = answers(gold)
    own = {str(key): key for key in annotated}  # 7 and "7" are one id
    predictions = {own.get(str(key), key): record for key, record in predictions.items()}
    _require_same_ids(annotated, predictions)
    answered = {key: _prediction(predictions[key], f"example {key}") for key in annotated}
    _require_common_offsets(gold, [answer for answer, _, _ in answered.values()])

    long_rows, short_rows = [], []
    # A set as in the official script: of equal scores such as 1 and 1.0 it prints the one that comes first.
    for identifier in set(annotated.keys()):
        answer, long_score, short_score = answered[identifier]
        long_rows.append(_long_row(annotated[identifier], answer, long_score))
        short_rows.append(_short_row(annotated[identifier], answer, short_score))
    return {**_figures(long_rows, "long-"), **_figures(short_rows, "short-")}


def _long_row(annotated: list[Answer], answer: Answer, score: float) -> Row:
    golds = [other.long for other in annotated if not other.long.is_null()]
    exists, predicted = len(golds) >= ANNOTATORS_THAT_AGREE, not answer.long.is_null()
    correct = exists and predicted and any(answer.long.matches(span) for span in golds)
    return Row(exists, predicted, correct, score)


def _short_row(annotated: list[Answer], answer: Answer, score: float) -> Row:
    exists = sum(other.has_short() for other in annotated) >= ANNOTATORS_THAT_AGREE
    if answer.yes_no != "none":
        right = any(answer.yes_no == other.yes_no for other in annotated)
    else:
        right = any(_same_spans(answer.short, other.short) for other in annotated)
    return Row(exists, answer.has_short(), exists and answer.has_short() and right, score)


def _same_spans(ours: list[Span], theirs: list[Span]) -> bool:
    """Whether each span of either list has its like in the other."""
    return all(any(a.matches(b) for b in theirs) for a in ours) and all(any(a.matches(b) for a in ours) for b in theirs)


def _figures(rows: list[Row], prefix: str) -> dict[str, float]:
    points = _curve(rows)
    best = (0.0, 0.0, 0.0, 0.0)
    for threshold, (precision, recall) in points.items():
        f1 = _ratio(2 * precision * recall, precision + recall)
        if f1 > best[0]:
            best = f1, precision, recall, threshold
    names = ("best-threshold-f1", "best-threshold-precision", "best-threshold-recall", "best-threshold")
    figures = dict(zip(names, best, strict=True))
    for target in PRECISIONS:
        highest: tuple[float, float] = 0, 0  # ints, which the official script prints where nothing is so precise
        for precision, recall in points.values():
            if precision >= target and recall > highest[0]:
                highest = recall, precision
        figures[f"recall-at-precision>={target}"], figures[f"precision-at-precision>={target}"] = highest
    return {prefix + name: figure for name, figure in figures.items()}


def _curve(rows: list[Row]) -> dict[float, tuple[float, float]]:
    """Precision and recall of the answers from each score upwards, from the highest score down."""
    in_gold = sum(row.gold for row in rows)
    points: dict[float, tuple[float, float]] = {}
    correct = predicted = 0
    for row in sorted(rows, key=lambda row: row.score, reverse=True):
        correct += row.correct
        predicted += row.predicted
        points[row.score] = _ratio(correct, predicted), _ratio(correct, in_gold)  # the last of equal scores stays
    return points


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0


def _prediction(record: dict[str, Any], where: str) -> tuple[Answer, float, float]:
    """The system's answer, the score of its long and that of its short part."""
    scores = []
    for key in ("long_answer_score", "short_answers_score"):
        score = record.get(key)
        if not is_number(score):
            raise UserError(f"no number under {key!r}", where, "give one, 0 for all if the answers have no scores")
        scores.append(score)
    answer = _answer(record, where)
    if answer.short and answer.yes_no != "none":
        raise UserError("both short answers and yes or no", where, "empty one, or set yes_no_answer to NONE")
    return answer, scores[0], scores[1]


def _answer(record: dict[str, Any], where: str) -> Answer:
    long = _span(record["long_answer"], where) if "long_answer" in record else Span()
    short = [_span(item, where) for item in items(record, "short_answers", where)] if "short_answers" in record else []
    yes_no = record.get("yes_no_answer", "none")
    if not isinstance(yes_no, str) or yes_no.lower() not in YES_NO:
        raise UserError(f"yes_no_answer is {shown(yes_no)}", where, "give YES, NO or NONE")
    return Answer(long, [span for span in short if not span.is_null()], yes_no.lower())


def _span(record: Any, where: str) -> Span:
    offsets = {key: record[key] for key in Span._fields if key in record} if isinstance(record, dict) else {}
    if not {"start_byte", "end_byte"} <= offsets.keys() and not {"start_token", "end_token"} <= offsets.keys():
        remedy = "give start_byte and end_byte, start_token and end_token, or all four"
        raise UserError(f"no span in {shown(record, 80)}", where, remedy)
    if any(isinstance(value, bool) or not isinstance(value, int) for value in offsets.values()):
        raise UserError(f"an offset that is not an integer in {shown(record, 80)}", where, FORMAT_REMEDY)
    span = Span(**offsets)
    for start, end in (span[:2], span[2:]):
        if (start < 0) != (end < 0) or 0 <= end <= start:
            remedy = "give both ends, the second exclusive, or -1 twice"
            raise UserError(f"the span {start} to {end} is none", where, remedy)
    return span


def _example_id(record: dict[str, Any], where: str, seen: Mapping[Any, Any]) -> Any:
    value = record.get("example_id")
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UserError("no number or text under 'example_id'", where, FORMAT_REMEDY)
    if value in seen:
        raise UserError("more than one record has this id", f"{where}, example {value}", "keep one of them")
    return value


def _require_same_ids(annotated: Mapping[Any, Any], predictions: Mapping[Any, Any]) -> None:
    missing = [key for key in annotated if key not in predictions]
    unknown = [key for key in predictions if key not in annotated]
    faults = []
    if missing:
        faults.append(f"no prediction for {len(missing)} of {len(annotated)} examples, first {json.dumps(missing[0])}")
    if unknown:
        faults.append(f"{len(unknown)} predictions for other examples, first {json.dumps(unknown[0])}")
    if faults:
        remedy = "give one for each example of the gold, and no other; without long_answer for no answer"
        raise UserError(" and ".join(faults), remedy=remedy)


def _require_common_offsets(gold: Sequence[dict[str, Any]], answered: list[Answer]) -> None:
    """Bytes against the simplified format, which has none, would quietly score 0."""
    if any("start_byte" in annotation["long_answer"] for record in gold for annotation in record["annotations"]):
        return
    spans = [span for answer in answered for span in (answer.long, *answer.short) if not span.is_null()]
    if spans and all(span.start_token < 0 for span in spans):
        remedy = "predict start_token and end_token, or score against the original format"
        raise UserError("the predictions have bytes only, the simplified gold tokens only", remedy=remedy)
