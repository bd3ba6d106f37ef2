"""``littlebird-evaluate``: scores a prediction file as the data set's official script does."""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fairseq_littlebird.cli.evaluate_chromatin import CHROMATIN, evaluate_chromatin
from fairseq_littlebird.cli.evaluate_summaries import ROUGE, evaluate_summaries
from fairseq_littlebird.cli.score_tables import bins_table, undefined_said
from fairseq_littlebird.cli.user_dir import add_user_dir, import_user_dir
from fairseq_littlebird.datasets import AUTO, DATASETS
from fairseq_littlebird.datasets.registry import check_format, dataset_of, recognised
from fairseq_littlebird.datasets.scoring import official_metric
from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.formats.glue import GLUE_TASKS
from fairseq_littlebird.formats.questions import format_of
from fairseq_littlebird.formats.records import open_records
from fairseq_littlebird.formats.texts import scalar_label
from fairseq_littlebird.inputs import check_given_once, is_rereadable
from fairseq_littlebird.metrics import classification, glue, text_scores
from fairseq_littlebird.metrics.json_files import files_of, read_json, read_numbers
from fairseq_littlebird.metrics.official_metric import OfficialMetric

CLASSIFICATION, GLUE = "classification", "glue"
CLASSIFICATION_METRIC = OfficialMetric(
    read_gold=read_json,
    read_predictions=classification.read_predictions,
    answers=text_scores.answers,
    evaluate=text_scores.evaluate,
)


@exit_on_user_error
def main(argv: list[str] | None = None) -> None:
    """Prints the scores; exit status 2 and one line on stderr where a file is wrong."""
    import_user_dir(argv)
    args = _parser().parse_args(argv)
    check_given_once(path for path in (args.gold, args.predictions, args.null_odds) if path)
    if args.groups and args.dataset != CHROMATIN:
        raise UserError(f"--groups with --dataset {args.dataset}", remedy="leave it out, or give --dataset chromatin")
    if args.dataset == ROUGE:
        evaluate_summaries(args)
        return
    if args.dataset == CHROMATIN:
        evaluate_chromatin(args)
        return
    if args.dataset in DATASETS:
        _check_format(args.gold, DATASETS[args.dataset])
    if (args.dataset == GLUE) != bool(args.name):
        raise UserError("--dataset glue and --name belong together", remedy="give both or neither")
    dataset = _recognised(args.gold) if args.dataset == AUTO else args.dataset
    if args.length_bins and dataset not in (CLASSIFICATION, GLUE):
        raise UserError(f"--length-bins with --dataset {dataset}", remedy="texts with labels or scores have lengths")
    metric = _metric(dataset, args.name)
    null_odds: dict[str, float] | None = None
    if args.null_odds is not None:
        if metric.evaluate_null_odds is None:
            raise UserError(f"--dataset {args.dataset} has no null odds", remedy="leave out --null-odds")
        if args.predictions is None:
            raise UserError("--null-odds without --predictions", remedy="give both, or only --gold to check it")
        null_odds = read_numbers(args.null_odds)

    gold = metric.read_gold(args.gold)
    identifiers = metric.answers(gold, args.gold)
    if args.predictions is None:
        count = len(identifiers)
        print(json.dumps({"gold_answers": count}) if args.json else f"{args.gold}: {count:,} gold answers")
        return
    predictions = metric.read_predictions(args.predictions)
    maps = {f"{args.predictions}, {part}": predictions[part] for part in metric.parts}
    maps = maps or {args.predictions: predictions}
    _require_common_ids(maps, identifiers, args.gold, args.predictions)
    try:
        if null_odds is not None and metric.evaluate_null_odds is not None:
            scores = metric.evaluate_null_odds(gold, predictions, null_odds, args.null_threshold)
        else:
            with undefined_said():
                scores = metric.evaluate(gold, predictions)
            if args.length_bins:
                scores |= _by_length(metric, gold, predictions, args)
    except UserError as error:
        where = ", ".join(path for path in (args.predictions, args.null_odds) if path)
        raise UserError(str(error), where) from error

    if null_odds is not None:
        _say_emptied(predictions, identifiers, null_odds=null_odds, threshold=args.null_threshold)
    if metric.malformed:
        what = (
            "supporting facts that are not [title, sentence index], scored as wrong ones, as the official script does"
        )
        _warn(metric.malformed(predictions), what, args.predictions)
    what = "answers that differ from the gold only in Unicode normalisation (NFC, NFD), which counts as wrong"
    _warn(_composed_otherwise(predictions, identifiers), what, args.predictions)
    unit = "texts" if dataset in (CLASSIFICATION, GLUE) else "questions"
    missing_ids: list[list[str]] = []
    identifiers = {str(identifier): None for identifier in identifiers}
    for where, predicted in maps.items():
        predicted = {str(identifier): None for identifier in predicted}
        unknown = [identifier for identifier in predicted if identifier not in identifiers]
        _warn(unknown, f"predictions of {unit} that {args.gold} does not have", where)
        missing = [identifier for identifier in identifiers if identifier not in predicted]
        missing_ids.append(missing)
        _warn(missing, f"{unit} without a prediction, which score 0", where)
    bins: Any = scores.pop("by_length", None)
    if args.json:
        print(json.dumps(scores if bins is None else {**scores, "by_length": bins}))
    else:
        incomplete = len(set().union(*missing_ids))
        print(_table({**scores, unit: len(identifiers), "missing": incomplete}))
        if bins is not None:
            print(bins_table(bins))


def _metric(dataset: str, name: str | None) -> OfficialMetric[Any, Any]:
    if dataset == GLUE and name:
        return replace(CLASSIFICATION_METRIC, evaluate=partial(glue.evaluate, GLUE_TASKS[name]))
    return CLASSIFICATION_METRIC if dataset == CLASSIFICATION else official_metric(DATASETS[dataset])


def _by_length(
    metric: OfficialMetric[Any, Any], gold: Any, predictions: dict[str, Any], args: argparse.Namespace
) -> dict[str, Any]:
    from fairseq_littlebird.data.text_lengths import text_lengths  # fairseq is slow to import

    lengths = text_lengths(args.gold)
    with undefined_said():
        bins = text_scores.by_length(gold, predictions, lengths, args.length_bins, metric.evaluate)
    return {"by_length": [{"tokens": one.name, "texts": one.texts, **one.scores} for one in bins]}


def _parser() -> argparse.ArgumentParser:
    metrics = {spec.title: official_metric(spec) for spec in DATASETS.values()}
    many = " and ".join(title for title, metric in metrics.items() if metric.many_gold_files)
    formats = "".join(f"{t}: {m.prediction_format}; " for t, m in metrics.items() if m.prediction_format)
    parser = argparse.ArgumentParser(
        prog="littlebird-evaluate",
        description="Scores a prediction file, digit for digit as the data set's official script does. "
        "Files are UTF-8, plain or compressed (gzip, bz2, xz, zip); - is standard input.",
    )
    parser.add_argument(
        "--dataset",
        required=True,
        choices=[AUTO, *DATASETS, CLASSIFICATION, GLUE, ROUGE, CHROMATIN],
        help="format and official scores (squad: 1.1 and 2.0, and tables of questions and annotation exports); "
        "rouge: summaries, as the package rouge-score; chromatin: areas under the curves of many labels; auto: "
        "recognised from the gold file",
    )
    parser.add_argument(
        "--gold",
        required=True,
        metavar="FILE",
        help=f"the data set's own file with the answers; for {many} also a folder or pattern",
    )
    parser.add_argument(
        "--predictions",
        metavar="FILE",
        help=f"JSON, {{question id: answer text}}; {formats}"
        "classification and glue: {id: label}, {id: [label, ...]}, {id: score} or littlebird-predict's file; rouge: "
        "JSON lines, {id, summary}; chromatin: an .npy array, as its gold; without it, only the gold file is checked",
    )
    parser.add_argument("--null-odds", metavar="FILE", help="SQuAD 2.0: JSON, {question id: score of having no answer}")
    parser.add_argument(
        "--null-threshold",
        type=float,
        default=1.0,
        metavar="X",
        help="null odds above this count as no answer (default: 1.0, the official script's)",
    )
    parser.add_argument("--stemmer", action="store_true", help="rouge: compare word stems, as most papers do")
    parser.add_argument(
        "--split-sentences",
        action="store_true",
        help="rouge: find the sentences for rougeLsum by their punctuation (default: a sentence is a line)",
    )
    parser.add_argument(
        "--name", choices=[*GLUE_TASKS], help="glue: the task, whose figures on the leaderboard are printed in percent"
    )
    parser.add_argument(
        "--length-bins",
        type=_bounds,
        metavar="N,N",
        help="classification and glue: also scores by length, in ranges up to these numbers of tokens; --gold is "
        "SPLIT.gold.json of a prepared folder",
    )
    parser.add_argument(
        "--groups",
        metavar="FILE",
        help="chromatin: table of the labels with their groups (columns group, label), or DeepSEA's own",
    )
    add_user_dir(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object with the official keys")
    return parser


def _bounds(text: str) -> tuple[int, ...]:
    """``512,1024`` as numbers, in ascending order."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) for part in parts) or sorted({*map(int, parts)}) != [*map(int, parts)]:
        raise argparse.ArgumentTypeError(f"{text!r}: give whole numbers in ascending order, such as 512,1024")
    return tuple(map(int, parts))


def _recognised(path: str) -> str:
    """The data set whose format the gold has: a file, or the first one of a folder or pattern."""
    if not is_rereadable(path):
        raise UserError("standard input is read once", path, "name its --dataset")
    with open_records(files_of(path, ".jsonl", ".jsonl.gz", ".json")[0], "give the data set's own file") as records:
        name = CLASSIFICATION if _has_labels(records.first) else dataset_of(records).name
    print(f"littlebird-evaluate: --dataset auto: {name}", file=sys.stderr)
    return name


def _check_format(path: str, spec: DatasetSpec) -> None:
    """Raises UserError where the gold is plainly another data set's; what else is wrong its own parser says better."""
    if not is_rereadable(path) or not Path(path).is_file():
        return
    with ExitStack() as stack:
        try:
            records = stack.enter_context(open_records(path, spec.remedy))
        except UserError:
            return
        check_format(records, spec)


def _has_labels(record: Any) -> bool:
    """Whether a record is not a question, and has nothing but labels and lists of labels."""
    if not isinstance(record, dict) or recognised(record) or format_of(record):
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


def _composed_otherwise(predictions: Mapping[Any, object], answers: Mapping[Any, object]) -> list[str]:
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
    """How many of the given answers, those that are not empty, the threshold removes."""
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
