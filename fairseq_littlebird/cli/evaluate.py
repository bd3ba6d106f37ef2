"""``littlebird-evaluate``: scores a prediction file as the data set's official script does."""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.formats.datasets import recognised
from fairseq_littlebird.formats.questions import FORMATS
from fairseq_littlebird.formats.records import open_records
from fairseq_littlebird.formats.texts import scalar_label
from fairseq_littlebird.inputs import check_given_once, is_rereadable
from fairseq_littlebird.metrics import (
    classification,
    hotpotqa,
    korquad1,
    korquad2,
    mrqa,
    natural_questions,
    squad,
    triviaqa,
    wikihop,
)
from fairseq_littlebird.metrics.gold_files import read_squad_gold
from fairseq_littlebird.metrics.json_files import files_of, read_json, read_json_lines, read_numbers, read_texts

AUTO = "auto"


class Benchmark(NamedTuple):
    """How one data set is read and scored; ``answers`` checks the gold and gives its ids and answers."""

    read_gold: Callable[[str], Any]
    read_predictions: Callable[[str], dict[str, Any]]
    answers: Callable[[Any, str], dict[str, Any]]
    evaluate: Callable[..., dict[str, float]]
    takes_null_odds: bool = False
    parts: tuple[str, ...] = ()  # the maps in a prediction file; none where it is one map itself
    malformed: Callable[[Any], list[str]] | None = None  # ids of predictions that are scored though malformed


BENCHMARKS = {
    "squad": Benchmark(read_squad_gold, read_texts, squad.answers, squad.evaluate, takes_null_odds=True),
    "korquad1": Benchmark(read_squad_gold, read_texts, korquad1.answers, korquad1.evaluate),
    "mrqa": Benchmark(read_json_lines, read_texts, mrqa.answers, mrqa.evaluate),
    "hotpotqa": Benchmark(
        read_json,
        hotpotqa.read_predictions,
        hotpotqa.answers,
        hotpotqa.evaluate,
        parts=hotpotqa.PARTS,
        malformed=hotpotqa.malformed,
    ),
    "triviaqa": Benchmark(read_json, read_texts, triviaqa.answers, triviaqa.evaluate),
    "wikihop": Benchmark(read_json, read_texts, wikihop.answers, wikihop.evaluate),
    "natural_questions": Benchmark(
        natural_questions.read_gold,
        natural_questions.read_predictions,
        natural_questions.answers,
        natural_questions.evaluate,
    ),
    "korquad2": Benchmark(korquad2.read_gold, read_texts, korquad2.answers, korquad2.evaluate),
    "classification": Benchmark(
        read_json, classification.read_predictions, classification.answers, classification.evaluate
    ),
}


@exit_on_user_error
def main(argv: list[str] | None = None) -> None:
    """Prints the scores; exit status 2 and one line on stderr where a file is wrong."""
    args = _parser().parse_args(argv)
    check_given_once(path for path in (args.gold, args.predictions, args.null_odds) if path)
    benchmark = BENCHMARKS[_recognised(args.gold) if args.dataset == AUTO else args.dataset]
    options: dict[str, Any] = {}
    if args.null_odds is not None:
        if not benchmark.takes_null_odds:
            raise UserError(f"--dataset {args.dataset} has no null odds", remedy="leave out --null-odds")
        options = {"null_odds": read_numbers(args.null_odds), "threshold": args.null_threshold}

    gold = benchmark.read_gold(args.gold)
    identifiers = benchmark.answers(gold, args.gold)
    predictions = benchmark.read_predictions(args.predictions)
    maps = {f"{args.predictions}, {part}": predictions[part] for part in benchmark.parts}
    maps = maps or {args.predictions: predictions}
    _require_common_ids(maps, identifiers, args.gold, args.predictions)
    try:
        scores = benchmark.evaluate(gold, predictions, **options)
    except UserError as error:
        where = ", ".join(path for path in (args.predictions, args.null_odds) if path)
        raise UserError(str(error), where) from error

    if options:
        _say_emptied(predictions, identifiers, **options)
    if benchmark.malformed:
        what = (
            "supporting facts that are not [title, sentence index], scored as wrong ones, as the official script does"
        )
        _warn(benchmark.malformed(predictions), what, args.predictions)
    what = "answers that differ from the gold in Unicode normalisation alone (NFC, NFD), which counts as wrong"
    _warn(_composed_otherwise(predictions, identifiers), what, args.predictions)
    missing_ids: list[list[str]] = []
    identifiers = {str(identifier): None for identifier in identifiers}
    for where, predicted in maps.items():
        predicted = {str(identifier): None for identifier in predicted}
        unknown = [identifier for identifier in predicted if identifier not in identifiers]
        _warn(unknown, f"answers to questions that {args.gold} does not have", where)
        missing = [identifier for identifier in identifiers if identifier not in predicted]
        missing_ids.append(missing)
        _warn(missing, "questions without a prediction, which score 0", where)
    if args.json:
        print(json.dumps(scores))
    else:
        incomplete = len(set().union(*missing_ids))
        print(_table({**scores, "questions": len(identifiers), "missing": incomplete}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="littlebird-evaluate",
        description="Scores a prediction file, digit for digit as the data set's official script does. "
        "Files are UTF-8, plain or compressed (gzip, bz2, xz, zip); - is standard input.",
    )
    parser.add_argument(
        "--dataset",
        required=True,
        choices=[AUTO, *BENCHMARKS],
        help="whose format and scores (squad: 1.1 and 2.0, and rows of questions, CSV and annotation exports); "
        "auto: the one whose format the gold file has",
    )
    parser.add_argument(
        "--gold",
        required=True,
        metavar="FILE",
        help="the data set's own file with the answers; for Natural Questions and KorQuAD 2 also a folder or pattern",
    )
    parser.add_argument(
        "--predictions",
        required=True,
        metavar="FILE",
        help='JSON, {question id: answer text}; TriviaQA on the web: {"id--filename": answer text}; '
        'HotpotQA: {"answer": {id: text}, "sp": {id: [[title, sentence index], ...]}}; '
        'Natural Questions: {"predictions": [...]}; '
        "classification: {id: label}, {id: [label, ...]} or littlebird-predict's file",
    )
    parser.add_argument("--null-odds", metavar="FILE", help="SQuAD 2.0: JSON, {question id: score of having no answer}")
    parser.add_argument(
        "--null-threshold",
        type=float,
        default=1.0,
        metavar="X",
        help="null odds above this count as no answer (default: 1.0, the official script's)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object with the official keys")
    return parser


def _recognised(path: str) -> str:
    """The data set whose format the gold has: a file, or the first one of a folder or pattern."""
    if not is_rereadable(path):
        raise UserError("standard input is read once", path, "name its --dataset")
    with open_records(files_of(path, ".jsonl", ".jsonl.gz", ".json")[0], "give the data set's own file") as records:
        found = recognised(records.first)
        name = found.name if found else "classification" if _has_labels(records.first) else "squad"
    print(f"littlebird-evaluate: --dataset auto: {name}", file=sys.stderr)
    return name


def _has_labels(record: Any) -> bool:
    """Whether a record is no question, and has nothing but labels and lists of labels."""
    if not isinstance(record, dict) or any(form.matches(record) for form in FORMATS):
        return False
    lists = [value if isinstance(value, list) else [value] for value in record.values()]
    return bool(lists) and all(scalar_label(label) is not None for labels in lists for label in labels)


def _require_common_ids(maps: dict[str, dict[str, Any]], identifiers: Iterable[str], gold: str, file: str) -> None:
    """Raises UserError where predictions are of other questions than the gold's; the official scripts would say 0.

    Args:
        maps: by place, question id to prediction; some may be empty, as HotpotQA's without supporting facts.
        identifiers: the gold's questions.
        gold: their file.
        file: that of the predictions.
    """
    wanted = [str(identifier) for identifier in identifiers]
    if not any(maps.values()):
        raise UserError("no prediction in it", file, "give {id: prediction, ...}, as littlebird-predict writes it")
    for where, predicted in maps.items():
        found = [str(identifier) for identifier in predicted]
        if found and not set(wanted) & set(found):
            what = f"no prediction for any question of {gold}: an id here is {found[0]!r}, there {wanted[0]!r}"
            raise UserError(what, where, "give the gold and the predictions of the same questions")


def _composed_otherwise(predictions: dict[str, Any], answers: dict[str, Any]) -> list[str]:
    """The questions whose prediction is an answer, but for characters in one part here and in several there."""
    found = []
    for identifier, golds in answers.items():
        prediction = predictions.get(identifier)
        if isinstance(prediction, str) and isinstance(golds, list) and prediction not in golds:
            composed = unicodedata.normalize("NFC", prediction)
            found += [identifier] if composed in (unicodedata.normalize("NFC", gold) for gold in golds) else []
    return found


def _say_emptied(
    predictions: dict[str, str], identifiers: Iterable[str], *, null_odds: dict[str, float], threshold: float
) -> None:
    """How many of the given answers, those that are not empty, the threshold takes away."""
    given = [identifier for identifier in identifiers if predictions[identifier]]
    emptied = sum(null_odds[identifier] > threshold for identifier in given)
    if emptied:
        line = f"{emptied:,} of {len(given):,} answers counted as empty: their null odds exceed {threshold}"
        print(f"littlebird-evaluate: {line}", file=sys.stderr)


def _table(rows: dict[str, float]) -> str:
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _warn(identifiers: Sequence[str], what: str, where: str) -> None:
    if identifiers:
        line = f"warning: {where}: {what}: {len(identifiers)}, first {identifiers[0]}"
        print(f"littlebird-evaluate: {' '.join(line.split())}", file=sys.stderr)  # ids may hold anything


if __name__ == "__main__":
    main()
