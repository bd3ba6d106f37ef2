"""littlebird-predict: answers to the questions of a prepared folder, or labels of its texts."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fairseq_littlebird.cli.numbers import count as _count
from fairseq_littlebird.cli.numbers import positive as _positive
from fairseq_littlebird.cli.user_dir import add_user_dir, import_user_dir
from fairseq_littlebird.errors import UserError, exit_on_user_error


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    import_user_dir(arguments)
    options = _parser().parse_args(arguments)
    # argument parsing and --help should not wait for fairseq
    from fairseq_littlebird.inference.prediction_files import FILES, PAGES, write_classifications, write_predictions
    from fairseq_littlebird.output import check_folder
    from fairseq_littlebird.pipelines.classification import classifications
    from fairseq_littlebird.pipelines.loading import load_trained
    from fairseq_littlebird.pipelines.question_answering import predictions
    from fairseq_littlebird.tasks.question_answering import QuestionAnsweringTask

    check_folder(options.output, (*FILES, PAGES), options.overwrite)
    model, task = load_trained(options.path, options.data, options.device, options.precision)
    if not isinstance(task, QuestionAnsweringTask):
        if options.html:
            raise UserError("pages are of answers, not of labels", options.path, "leave out --html")
        labelled = classifications(
            model, task, options.gen_subset, max_tokens=options.max_tokens, workers=options.num_workers
        )
        count = write_classifications(options.output, labelled, options.threshold, options.overwrite)
        print(f"{options.output}: {count:,} texts classified, in {FILES[0]}")
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
            f"exactly in {limit} tokens: answers longer, not found, or whole in no window (--max-answer-length)"
        )


def _counted(predictions: Iterable[Any], reached: Counter[bool | None]) -> Iterator[Any]:
    """The same, and how many have a gold answer that can be predicted."""
    for prediction in predictions:
        reached[prediction.reachable] += 1
        yield prediction


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="littlebird-predict",
        description="Answers the questions of a folder that littlebird-prepare qa wrote, or labels the texts of one "
        "that littlebird-prepare classification wrote.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("data", metavar="DATA", help="the prepared folder")
    parser.add_argument(
        "--path",
        required=True,
        metavar="CHECKPOINT",
        help="checkpoint of --task question_answering or littlebird_sentence_prediction, or the folder of its training",
    )
    add_user_dir(parser)
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--gen-subset", default="test", metavar="SPLIT", help="split to answer or label")
    parser.add_argument(
        "--max-answer-length",
        type=_positive,
        metavar="N",
        help="tokens of an answer at most; by default what the model's training answers gave (littlebird-prepare qa)",
    )
    parser.add_argument("--n-best", type=_positive, default=20, metavar="N", help="candidates kept a question")
    parser.add_argument(
        "--null-threshold",
        type=float,
        metavar="X",
        help='answer "" where the log odds of no answer are above this; without it every question is answered',
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="X",
        help="lowest probability that gives a text a label, where it may have several",
    )
    parser.add_argument("--max-tokens", type=_positive, default=32768, metavar="N", help="tokens encoded together")
    parser.add_argument("--num-workers", type=_count, default=0, metavar="N", help="processes that load data")
    parser.add_argument("--device", help="cpu, cuda, …; by default the accelerator if there is one")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "float16", "int8"),
        default="float32",
        help="of the encoder; half is faster where the hardware has it (bfloat16: also CPUs with avx512_bf16 or amx); "
        "int8 quantizes the weights, on a CPU alone",
    )
    parser.add_argument(
        "--html",
        action="store_true",
        help="also a page a question, in DIR/html: the answer and where its attention goes, marked in the document",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the predictions of an earlier call")
    return parser


if __name__ == "__main__":
    main()
