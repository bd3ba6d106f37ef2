"""``littlebird-prepare classification``: labelled texts, scored texts and GLUE."""

from __future__ import annotations

import argparse
from pathlib import Path

from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import positive as _positive
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.glue import GLUE_TASKS, glue_files
from fairseq_littlebird.formats.problem_type import REGRESSION
from fairseq_littlebird.formats.texts import PARTS as TEXT_PARTS
from fairseq_littlebird.formats.texts import TextOptions
from fairseq_littlebird.text.tokenizers import load_tokenizer


def add_classification(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "classification",
        formatter_class=HelpFormatter,
        help="binarize labelled texts",
        description="Writes the folder that --task littlebird_sentence_prediction and littlebird-predict read. "
        'A file is JSON lines, {"text": …, "label": …} or {"text": …, "labels": […]} with "id" and "text2" (the '
        "second of a pair) where there are any, a JSON list or a table (CSV, TSV) of the same, an export of Label "
        "Studio or doccano, or a file of GLUE, plain or compressed; a folder has a subfolder for each label, with text "
        "files in it. Texts of the test split may have no label.",
    )
    for split in ("train", "valid", "test"):
        parser.add_argument(f"--{split}", nargs="+", default=[], metavar="PATH", help=f"{split} files and folders")
    parser.add_argument(
        "--format",
        choices=("auto", "glue"),
        default="auto",
        help="glue: the TSV files of a task of GLUE, whose quotes are characters like any other (default: by content)",
    )
    parser.add_argument(
        "--name", choices=[*GLUE_TASKS], help="the task of GLUE; MNLI has two files for --valid and --test"
    )
    parser.add_argument(
        "--glue-dir", metavar="DIR", help="GLUE's folder of the task, instead of --train, --valid, --test"
    )
    parser.add_argument(
        "--problem-type",
        choices=("auto", REGRESSION),
        default="auto",
        help='regression: texts have a number, "score" or "label" (default: one label, or lists of '
        "labels, as the files show)",
    )
    parser.add_argument(
        "--score-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="regression: lowest and highest score, which predictions keep to (default: those of --train)",
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        type=_column,
        default=[],
        metavar="PART=COLUMN",
        help=f"which column or member has what; parts are {', '.join(TEXT_PARTS)}",
    )
    parser.add_argument(
        "--no-header",
        dest="header",
        action="store_false",
        help="the first row of a table is a record, and --columns has numbers from 1",
    )
    parser.add_argument(
        "--no-quotes",
        dest="quotes",
        action="store_false",
        help="quotes in a table are characters like any other",
    )
    parser.add_argument("--tokenizer", required=True, metavar="PATH", help="tokenizer file or folder")
    parser.add_argument("--dict", required=True, metavar="FILE", help="dict.txt of the tokenizer")
    parser.add_argument("--destdir", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--labels",
        metavar="PATH",
        help="file with a label a line, in the order of their numbers, or a folder prepared before, whose labels these "
        "are (default: those of --train, sorted)",
    )
    parser.add_argument(
        "--max-tokens",
        type=_positive,
        metavar="N",
        help="the most tokens of a text, <s> and </s> included; what is longer is cut at its end, of a pair the longer "
        "text first (default: nothing is cut)",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out records that cannot be read, instead of ending with an error"
    )
    parser.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    parser.set_defaults(run=_classification)


def _classification(options: argparse.Namespace) -> None:
    from fairseq_littlebird.data.classification_preparation import prepare_texts, summary_lines

    files, glue = _text_files(options), GLUE_TASKS.get(options.name)
    summaries = prepare_texts(
        files,
        load_tokenizer(options.tokenizer, options.dict),
        options.dict,
        options.destdir,
        labels=options.labels,
        skip_bad=options.skip_bad,
        max_tokens=options.max_tokens,
        workers=options.workers,
        overwrite=options.overwrite,
        options=TextOptions(
            regression=options.problem_type == REGRESSION,
            columns=dict(options.columns),
            header=options.header,
            quotes=options.quotes,
        ),
        glue=glue,
        score_range=tuple(options.score_range) if options.score_range else None,
    )
    for split, summary in summaries.items():
        print("\n".join(summary_lines(split, summary)))
    print(f"{options.destdir}: written; SPLIT.gold.json has the labels by id, prepared.json their numbers")


def _text_files(options: argparse.Namespace) -> dict[str, list[str]]:
    """Split -> its files; of MNLI the second ones are splits of their own.

    Raises:
        UserError: options that do not belong together.
    """
    glue = options.format == "glue"
    if glue != bool(options.name):
        raise UserError("--format glue and --name belong together", remedy="give both or neither")
    own = {"--columns": options.columns, "--score-range": options.score_range, "--no-header": not options.header}
    own |= {"--no-quotes": not options.quotes, "--problem-type": options.problem_type != "auto"}
    if glue and any(own.values()):
        option = next(name for name, given in own.items() if given)
        raise UserError(f"{option} with --format glue, which says it itself", remedy=f"leave out {option}")
    if options.score_range and options.problem_type != REGRESSION:
        raise UserError("--score-range without --problem-type regression", remedy="give both or neither")
    files: dict[str, list[str]] = {split: getattr(options, split) for split in ("train", "valid", "test")}
    if options.glue_dir:
        if not glue or any(files.values()):
            remedy = "give it with --format glue --name TASK, and without --train, --valid and --test"
            raise UserError("--glue-dir", remedy=remedy)
        found = glue_files(GLUE_TASKS[options.name], Path(options.glue_dir))
        return {split: [str(path) for path in paths] for split, paths in found.items()}
    if options.name == "MNLI":
        for split in ("valid", "test"):
            files[split], more = files[split][:1], files[split][1:]
            files[f"{split}1"] = more
    return files


def _column(text: str) -> tuple[str, str]:
    """``label=score`` as a pair."""
    part, equals, column = text.partition("=")
    if part not in TEXT_PARTS or not equals or not column:
        raise argparse.ArgumentTypeError(f"{text!r}: give PART=COLUMN with a part of {', '.join(TEXT_PARTS)}")
    return part, column
