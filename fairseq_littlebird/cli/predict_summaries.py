"""littlebird-predict of summaries."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from fairseq_littlebird.cli.numbers import count, positive


def add_summary_options(parser: argparse.ArgumentParser) -> None:
    options = parser.add_argument_group("summaries")
    options.add_argument("--beam", type=positive, default=5, metavar="N", help="hypotheses; 1: greedy")
    options.add_argument(
        "--length-penalty",
        type=float,
        default=1.0,
        metavar="X",
        help="exponent; larger ones favour longer summaries",
    )
    options.add_argument(
        "--length-penalty-kind",
        choices=("power", "gnmt"),
        default="power",
        help="log-probabilities are divided by length^X (power), or by ((5 + length) / 6)^X (gnmt)",
    )
    options.add_argument(
        "--no-repeat-ngram-size",
        type=count,
        default=0,
        metavar="N",
        help="no sequence of N tokens comes twice in a summary; 0: it may",
    )
    options.add_argument("--min-length", type=count, default=1, metavar="N", help="minimum number of tokens")
    options.add_argument("--max-length", type=positive, metavar="N", help="maximum number of tokens (default: 200)")
    options.add_argument("--truncate", action="store_true", help="cut documents that are longer than the model reads")


def predict_summaries(model: Any, task: Any, options: argparse.Namespace) -> None:
    """Writes the summaries of a split."""
    from fairseq_littlebird.data.shards import folder_of
    from fairseq_littlebird.inference.prediction_files import PAGES, SUMMARIES, write_summaries
    from fairseq_littlebird.models.generation import BeamSearchSettings
    from fairseq_littlebird.pipelines.summarization import Documents, summaries

    settings = BeamSearchSettings(
        beam=options.beam,
        length_penalty=options.length_penalty,
        length_penalty_kind=options.length_penalty_kind,
        no_repeat_ngram_size=options.no_repeat_ngram_size,
        min_length=options.min_length,
        max_length=options.max_length,
    )
    dataset = task.load_dataset(options.gen_subset)
    written: Counter[str] = Counter()
    started = time.perf_counter()
    found = summaries(
        model,
        task,
        dataset,
        Documents.of_split(folder_of(task.cfg.data), options.gen_subset),
        settings,
        max_tokens=options.max_tokens,
        workers=options.num_workers,
        truncate=options.truncate,
        explained=options.html,
    )
    number = write_summaries(options.output, _counted(found, written), options.overwrite, options.html)
    speed = written["tokens"] / (time.perf_counter() - started)
    pages = f" and {PAGES}/index.html" if options.html else ""
    print(
        f"{options.output}: {number:,} summaries of {written['tokens']:,} tokens ({speed:,.1f} a second), "
        f"in {SUMMARIES}{pages}"
    )


def _counted(summaries: Iterable[Any], written: Counter[str]) -> Iterator[Any]:
    for summary in summaries:
        written["tokens"] += summary.tokens
        yield summary
