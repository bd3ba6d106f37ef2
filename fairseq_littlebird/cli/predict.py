"""littlebird-predict: answers to the questions of a prepared folder, labels or scores of its texts, or summaries."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import count as _count
from fairseq_littlebird.cli.numbers import finite
from fairseq_littlebird.cli.numbers import positive as _positive
from fairseq_littlebird.cli.predict_summaries import add_summary_options, predict_summaries
from fairseq_littlebird.cli.predict_tracks import Tracks, add_track_options, wants_tracks
from fairseq_littlebird.cli.user_dir import add_user_dir, import_user_dir
from fairseq_littlebird.errors import UserError, exit_on_user_error


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    import_user_dir(arguments)
    options = _parser().parse_args(arguments)
    # argument parsing and --help should not wait for fairseq
    from fairseq_littlebird.inference.prediction_files import FILES, NAMES, PAGES, write_predictions
    from fairseq_littlebird.output import check_folder
    from fairseq_littlebird.pipelines.loading import load_ensemble
    from fairseq_littlebird.pipelines.question_answering import predictions
    from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask
    from fairseq_littlebird.tasks.question_answering import QuestionAnsweringTask
    from fairseq_littlebird.tasks.summarization import SummarizationTask

    check_folder(options.output, NAMES, options.overwrite)
    checkpoints = [path for path in options.path.split(os.pathsep) if path]
    if not checkpoints:
        raise UserError("no checkpoint", "--path", "give one, or several with : between them")
    if len(checkpoints) > 1 and options.html:
        raise UserError("the pages explain one model, not several", "--html", "give one checkpoint")
    of_dna = options.reverse_complement or wants_tracks(options)
    if of_dna and options.html:
        what = "--html with --reverse-complement, --bed, --bedgraph or --attribution"
        raise UserError(what, remedy="leave one of them out")
    ensemble = load_ensemble(checkpoints, options.data, options.device, options.precision)
    model, task = ensemble[0]
    if of_dna and not isinstance(task, LittleBirdSentencePredictionTask):
        what = "--reverse-complement, --bed, --bedgraph or --attribution, but no classifier"
        raise UserError(what, options.path, "leave them out")
    for option in ("glue_submission", "array"):
        if getattr(options, option) and not isinstance(task, LittleBirdSentencePredictionTask):
            raise UserError(f"--{option.replace('_', '-')}, but no classifier", options.path, "leave it out")
    if isinstance(task, SummarizationTask):
        predict_summaries(model, task, options)
        return
    if not isinstance(task, QuestionAnsweringTask):
        _classify(options, ensemble)
        return
    task.load_dataset(options.gen_subset)
    answers = predictions(
        model,
        task,
        task.dataset(options.gen_subset),
        max_tokens=options.max_tokens,
        max_answer_length=options.max_answer_length,
        n_best=options.n_best,
        workers=options.num_workers,
        explained=options.html,
    )
    reached: Counter[bool | None] = Counter()
    count = write_predictions(
        options.output,
        _counted(answers, reached),
        null_threshold=options.null_threshold,
        overwrite=options.overwrite,
        final_answer=task.dataset_spec.final_answer,
        prediction_format=task.dataset_spec.prediction_format,
        pages=options.html,
    )
    pages = f" and {PAGES}/index.html" if options.html else ""
    print(f"{options.output}: {count:,} answers, in {', '.join(FILES)}{pages}")
    if reached[False]:
        limit = options.max_answer_length or task.max_answer_length
        print(
            f"{reached[False]:,} of {reached[True] + reached[False]:,} questions with answers can never be answered "
            f"exactly in {limit} tokens: answers that are longer, not found, or not in any window as a whole "
            "(--max-answer-length)"
        )


def _classify(options: argparse.Namespace, ensemble: Sequence[tuple[Any, Any]]) -> None:
    """Writes the labels or scores of a split, and what else was asked for."""
    from fairseq_littlebird.data.classification_metadata import read_metadata
    from fairseq_littlebird.inference.glue_submission import GlueSubmission
    from fairseq_littlebird.inference.prediction_files import (
        ARRAY,
        FILES,
        PAGES,
        write_classifications,
        write_probabilities,
    )
    from fairseq_littlebird.pipelines.classification import classifications_of, split_outputs, stored
    from fairseq_littlebird.pipelines.text_attribution import explained_classifications
    from fairseq_littlebird.text.row_array import StoredRows

    model, task = ensemble[0]
    split, submission, tracks = options.gen_subset, None, None
    if options.glue_submission:
        metadata = read_metadata(task.cfg.data)
        glue = metadata.glue if metadata else ""
        submission = GlueSubmission(options.glue_submission, glue, split, options.overwrite)
    if options.array and (options.html or submission is not None or not task.labels):
        what = "--array with --html, with --glue-submission or of scores"
        raise UserError(what, remedy="leave one of them out; of scores predictions.json has all")
    if wants_tracks(options):
        tracks = Tracks(options, model, task, len(ensemble) > 1)
    with ExitStack() as stack:
        if not options.html:
            batches = split_outputs(
                ensemble, split, options.max_tokens, options.num_workers, options.reverse_complement
            )
        if options.array:
            count = write_probabilities(options.output, batches, len(task.labels), options.overwrite)
            print(f"{options.output}: {count:,} texts classified, in {ARRAY}, a column for each label")
            outputs = stack.enter_context(StoredRows(Path(options.output) / ARRAY))
        else:
            if options.html:
                found = explained_classifications(model, task, split)
            else:
                outputs = stack.enter_context(stored(batches, task.cfg.num_classes))
                found = classifications_of(task, split, outputs)
            if submission is not None:
                found = submission.passing(found)
            count = write_classifications(
                options.output, found, options.threshold, options.overwrite, pages=options.html
            )
            pages = f" and {PAGES}/index.html" if options.html else ""
            print(f"{options.output}: {count:,} texts classified, in {FILES[0]}{pages}")
        if submission is not None:
            submission.write()
            print(f"{submission.path}: for GLUE's leaderboard")
        if tracks is not None:
            print("\n".join(tracks.write(outputs)))


def _counted(predictions: Iterable[Any], reached: Counter[bool | None]) -> Iterator[Any]:
    """The same, and how many have a gold answer that can be predicted."""
    for prediction in predictions:
        reached[prediction.reachable] += 1
        yield prediction


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="littlebird-predict",
        description="Answers the questions of a folder written by littlebird-prepare qa, classifies the texts of a "
        "folder written by littlebird-prepare classification, or summarizes the documents of a folder written by "
        "littlebird-prepare summarization.",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("data", metavar="DATA", help="folder of littlebird-prepare")
    parser.add_argument(
        "--path",
        required=True,
        metavar="CHECKPOINT",
        help="checkpoint (question_answering, littlebird_sentence_prediction or summarization), or the --save-dir of a "
        "training; several classifiers with : between them: their probabilities or scores are averaged",
    )
    add_user_dir(parser)
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--gen-subset", default="test", metavar="SPLIT", help="split to predict")
    parser.add_argument(
        "--max-answer-length",
        type=_positive,
        metavar="N",
        help="maximum answer length in tokens (default: that of the training, see littlebird-prepare qa)",
    )
    parser.add_argument("--n-best", type=_positive, default=20, metavar="N", help="candidates to keep per question")
    parser.add_argument(
        "--null-threshold",
        type=finite,
        metavar="X",
        help='predict "" if the log odds of no answer are above this (default: answer every question)',
    )
    parser.add_argument(
        "--threshold",
        type=finite,
        default=0.5,
        metavar="X",
        help="multi-label classification: lowest probability of a predicted label",
    )
    parser.add_argument("--max-tokens", type=_positive, default=32768, metavar="N", help="tokens per batch")
    parser.add_argument("--num-workers", type=_count, default=0, metavar="N", help="data loading processes")
    parser.add_argument("--device", help="cpu, cuda, cuda:N, … (default: the accelerator if there is one)")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "float16", "int8"),
        default="float32",
        help="precision of the encoder; half precision is faster if the hardware supports it (bfloat16: also CPUs with "
        "avx512_bf16 or amx); int8 quantizes the weights, on CPUs only",
    )
    parser.add_argument(
        "--html",
        action="store_true",
        help="also write an HTML page per question or document to DIR/html: the document with the answer and its "
        "attention marked, or beside its summary, or its sentences marked by gradient × token embedding",
    )
    parser.add_argument(
        "--glue-submission",
        metavar="DIR",
        help="also write the file that GLUE's leaderboard wants of this task, beside those of other tasks",
    )
    parser.add_argument(
        "--array",
        action="store_true",
        help="classification: write DIR/probabilities.npy alone, a row a text and a column a label, which is what "
        "littlebird-evaluate --dataset chromatin reads",
    )
    add_summary_options(parser)
    add_track_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace earlier predictions in DIR")
    return parser


if __name__ == "__main__":
    main()
