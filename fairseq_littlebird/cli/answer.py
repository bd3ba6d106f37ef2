"""littlebird-answer: the answer to a question from documents as they are, or their summary or label."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fairseq_littlebird.cli.answer_lines import answer_lines, answers_record, json_line
from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.model_options import add_model_options
from fairseq_littlebird.cli.numbers import finite, positive
from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.formats.documents.document import Document
from fairseq_littlebird.formats.documents.reading import READERS, kinds, read_documents
from fairseq_littlebird.inputs import STDIN
from fairseq_littlebird.output import check_file, whole_file

LONG = 50_000
"""Characters from which on a progress bar is shown."""


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    paths, questions = _paths_and_questions(options)
    documents = list(read_documents(paths, note=_note))
    # argument parsing, --help and faults of a document should not wait for fairseq
    from fairseq_littlebird import LittleBird
    from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask
    from fairseq_littlebird.tasks.question_answering import QuestionAnsweringTask
    from fairseq_littlebird.tasks.summarization import SummarizationTask

    model = LittleBird.from_pretrained(
        options.model, options.tokenizer, options.max_tokens, device=options.device, precision=options.precision
    )
    if isinstance(model.task, QuestionAnsweringTask) and not options.summarize:
        for question in questions or _asked(documents, quiet=options.json):
            _answer(model, question, documents, options)
        return
    if questions or options.html:
        raise UserError("this model answers no questions", options.model, "give documents alone, without --html")
    if isinstance(model.task, LittleBirdSentencePredictionTask) and not options.summarize:
        _classify(model, documents, options.json)
    elif isinstance(model.task, SummarizationTask):
        _summarize(model, documents, options.json)
    else:
        remedy = "fine-tune it for question answering, classification or summarization"
        if options.summarize:
            remedy = "give a model of --task summarization, or leave out --summarize"
        raise UserError("this model writes no summaries" if options.summarize else "a pretrained model has no answers",
                        options.model, remedy)  # fmt: skip


def _paths_and_questions(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The last word is a question unless it is a file, a folder or standard input."""
    paths, questions = list(options.words), list(options.question)
    plain = not questions and not options.summarize
    if plain and len(paths) > 1 and not _is_path(paths[-1]):
        questions = [paths.pop()]
    if not all(text.strip() for text in [*questions, *paths]):
        raise UserError("an empty question or name", remedy="write one")
    if options.html:
        if len(questions) != 1:
            raise UserError("a page is of one question", "--html", "give one on the command line")
        check_file(options.html, options.overwrite)
        if Path(options.html).exists() and any(_holds(path, options.html) for path in paths):
            raise UserError("one of the documents", f"--html {options.html}", "name another file")
    if paths.count(STDIN) > 1:
        raise UserError("standard input is given twice", remedy="give - once")
    if STDIN in paths and plain and not questions:
        raise UserError("standard input is the document, so questions cannot come from it", remedy="add --question")
    return paths, questions


def _is_path(word: str) -> bool:
    """Whether it is there, or named as a document is: then it is missing, which should be said."""
    named_so = Path(word).suffix.lower() in READERS and len(word.split()) == 1
    try:
        return word == STDIN or named_so or Path(word).exists()
    except (OSError, ValueError):  # longer than a name may be, or with a zero byte
        return False


def _holds(path: str, file: str) -> bool:
    """Whether a document is a file, or a folder of documents that it is in."""
    if path == STDIN or not Path(path).exists():
        return False
    return Path(path).samefile(file) or Path(path).resolve() in Path(file).resolve().parents


def _note(line: str) -> None:
    print(f"littlebird-answer: {line}", file=sys.stderr)


def _asked(documents: Sequence[Document], quiet: bool) -> Iterator[str]:
    """The questions of a terminal, or of the lines of standard input."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin if line.strip())
        return
    if not quiet:
        size = sum(len(document.text) for document in documents)
        _note(f"documents: {len(documents)}, {size:,} characters, which the model reads again for every question")
    while True:
        try:
            question = input("question (Ctrl-D ends): ").strip()
        except EOFError:
            print(file=sys.stderr)
            return
        if question:
            begun = time.monotonic()
            yield question
            _note(f"{time.monotonic() - begun:.1f} s")


def _answer(model: Any, question: str, documents: Sequence[Document], options: argparse.Namespace) -> None:
    """Prints the best answers of all documents, and writes a page of the best document."""
    from fairseq_littlebird.inference.several_documents import best_answers, joint_null_odds

    texts = [document.text for document in documents]
    show_bar = sum(map(len, texts)) > LONG and sys.stderr.isatty()
    predictions = model.predict([question], texts, n_best=20 * options.top_k, progress=show_bar)
    if not any(prediction.windows for prediction in predictions):
        raise UserError("a question as long as a window", remedy="ask in fewer words, or raise --max-tokens")
    answers = best_answers(predictions, options.top_k)
    odds = joint_null_odds(predictions)
    if options.null_threshold is not None and odds > options.null_threshold:
        answers = []
    if options.html:
        best = answers[0].document if answers else 0
        _write_page(model, question, documents[best], options)
        alone = f": {documents[best].name} alone, with probabilities among its own spans" if len(documents) > 1 else ""
        _note(f"wrote {options.html}{alone}")
    if options.json:
        print(json_line(answers_record(question, answers, documents, odds)), flush=True)
    else:
        bold = sys.stdout.isatty()
        print("\n".join(answer_lines(question, answers, documents, bold)), flush=True)


def _write_page(model: Any, question: str, document: Document, options: argparse.Namespace) -> None:
    from dataclasses import replace

    from fairseq_littlebird.inference.final_answer import best_span
    from fairseq_littlebird.inference.pages.question_page import page
    from fairseq_littlebird.pipelines.attribution import explains
    from fairseq_littlebird.text.tokenizers import without_surrogates

    (prediction,) = model.predict([question], [document.text], progress=False, explained=explains(model.model))
    name = without_surrogates(document.name)  # a file may be called by any bytes
    shown = replace(prediction, title=name, id=name)
    with whole_file(options.html, options.overwrite) as file:
        file.write_text(page(shown, best_span(shown, options.null_threshold), index=False), "utf-8", newline="\n")


def _classify(model: Any, documents: Sequence[Document], as_json: bool) -> None:
    for document, found in zip(documents, model.classify([document.text for document in documents]), strict=True):
        record = found.record()
        if as_json:
            print(json_line({"document": document.name, **record}))
            continue
        said = record.get("label", ", ".join(record.get("labels", ())) or record.get("score"))
        probabilities = sorted(found.probabilities.items(), key=lambda item: -item[1])[:5]
        shown = ", ".join(f"{label} {probability:.3f}" for label, probability in probabilities)
        print(f"{document.name}: {said}" + (f"  ({shown})" if shown else ""))


def _summarize(model: Any, documents: Sequence[Document], as_json: bool) -> None:
    texts = [document.text for document in documents]
    for document, found in zip(documents, model.summarize(texts, truncate=True), strict=True):
        if as_json:
            print(json_line({"document": document.name, "summary": found.text, "score": found.score}))
        else:
            print(f"{document.name}:\n{found.text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="littlebird-answer",
        usage="littlebird-answer [OPTIONS] MODEL DOCUMENT [DOCUMENT ...] [QUESTION]",
        description="Answers a question from documents. A classifier gives the documents' labels instead, a summarizer "
        "their summaries. Without a question, questions are asked for, or read from standard input, one a line. "
        "Several documents are ranked together.",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="folder of a training, or a checkpoint")
    parser.add_argument(
        "words",
        nargs="+",
        metavar="DOCUMENT",
        help=f"file ({kinds()}), folder of such files, or - for standard input; last the question, unless it is the "
        "name of a file",
    )
    parser.add_argument(
        "--question", "-q", action="append", default=[], metavar="TEXT", help="question; can be given several times"
    )
    parser.add_argument("--top-k", type=positive, default=3, metavar="K", help="answers to a question")
    parser.add_argument(
        "--null-threshold", type=finite, metavar="X", help='no answer if the log odds of "no answer" are above X'
    )
    parser.add_argument("--summarize", action="store_true", help="write summaries; a model that does not is an error")
    parser.add_argument("--json", action="store_true", help="print one JSON object a question or document")
    parser.add_argument(
        "--html", metavar="FILE", help="write a page with the answer in its document, and the attention behind it"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file of --html")
    add_model_options(parser)
    return parser


if __name__ == "__main__":
    main()
