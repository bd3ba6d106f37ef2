"""littlebird-prepare summarization: documents and their summaries."""

from __future__ import annotations

import argparse

from fairseq_littlebird.cli.numbers import positive
from fairseq_littlebird.text.tokenizers import load_tokenizer


def add_summarization(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "summarization",
        help="binarize documents and their summaries",
        description="Writes the folder that --task summarization and littlebird-predict read. A file is JSON lines, "
        '{"id": …, "document": …, "summary": …}, where a summary is a text or a list of sentences, a JSON list or a '
        "table (CSV, TSV) of the same, plain or compressed. Documents of the test split may have no summary.",
    )
    for split in ("train", "valid", "test"):
        help = f"{split} files, or - for standard input"
        parser.add_argument(f"--{split}", nargs="+", default=[], metavar="FILE", help=help)
    parser.add_argument("--tokenizer", required=True, metavar="PATH", help="tokenizer file or folder")
    parser.add_argument("--dict", required=True, metavar="FILE", help="dict.txt of the tokenizer")
    parser.add_argument("--destdir", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--parallel",
        action="store_true",
        help="the files of a split are text, one with a document a line and one with its summary a line, in turn",
    )
    parser.add_argument(
        "--max-tokens",
        type=positive,
        metavar="N",
        help="maximum number of tokens in a document, <s> and </s> included; what is longer is cut at its end "
        "(default: nothing is cut)",
    )
    parser.add_argument(
        "--max-summary-tokens",
        type=positive,
        metavar="N",
        help="maximum number of tokens in a summary, </s> included (default: nothing is cut)",
    )
    parser.add_argument(
        "--skip-empty",
        action="store_true",
        help="leave out empty documents and summaries and count them, instead of ending with an error",
    )
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="processes (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    parser.set_defaults(run=_summarization)


def _summarization(options: argparse.Namespace) -> None:
    from fairseq_littlebird.data.prepared import SPLITS
    from fairseq_littlebird.data.summarization_preparation import prepare_summaries, summary_lines

    summaries = prepare_summaries(
        {split: getattr(options, split) for split in SPLITS},
        load_tokenizer(options.tokenizer, options.dict),
        options.dict,
        options.destdir,
        max_tokens=options.max_tokens,
        max_summary_tokens=options.max_summary_tokens,
        parallel=options.parallel,
        skip_empty=options.skip_empty,
        workers=options.workers,
        overwrite=options.overwrite,
    )
    for split, summary in summaries.items():
        print("\n".join(summary_lines(split, summary)))
    print(f"{options.destdir}: written; SPLIT.gold.jsonl has the summaries by id")
