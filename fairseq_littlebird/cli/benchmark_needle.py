"""littlebird-benchmark needle: is an answer found, wherever in a long document it stands?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fairseq_littlebird.benchmarks import needle, needle_plot, plot, rows
from fairseq_littlebird.benchmarks.environment import environment
from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import count as _count
from fairseq_littlebird.cli.numbers import positive as _positive
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.pipelines.littlebird import LittleBird
from fairseq_littlebird.pipelines.loading import PRECISIONS


def add_parser(commands: Any) -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "needle",
        help="question answering: finds a paragraph among 1,000 to 100,000 tokens of others",
        formatter_class=HelpFormatter,
        description="Puts the paragraph that answers a question among paragraphs of other articles, at several depths "
        "of documents of several lengths, and asks trained models: exact match, F1 and seconds a question. Paragraphs "
        "that contain an answer are left out of the others. All models answer the same questions about the same "
        "documents.",
    )
    parser.add_argument(
        "--path", required=True, metavar="MODEL",
        help="question-answering model, a checkpoint or --save-dir; reads each document in one window",
    )  # fmt: skip
    parser.add_argument(
        "--window", type=_positive, metavar="N", help="the same model also reads in windows of N tokens"
    )
    parser.add_argument(
        "--peer", metavar="MODEL", help="another model, such as the source model, which reads in windows"
    )
    parser.add_argument(
        "--peer-window", type=_positive, default=512, metavar="N", help="tokens in a window of the other model"
    )
    parser.add_argument(
        "--stride", type=_positive, metavar="N",
        help="tokens from one window's start to the next one's (default: half a window)",
    )  # fmt: skip
    parser.add_argument(
        "--questions", type=Path, required=True, metavar="FILE",
        help="questions with answers, in SQuAD's format or another one that littlebird-prepare qa reads as such",
    )  # fmt: skip
    parser.add_argument(
        "--haystack", type=Path, nargs="+", default=[], metavar="FILE",
        help="more paragraphs to hide one in: UTF-8 text with empty lines between them, or questions (.json) as above",
    )  # fmt: skip
    parser.add_argument(
        "--lengths", type=_positive, nargs="+", default=[1024, 4096, 16384, 65536], metavar="L",
        help="tokens of a document; questions whose paragraph alone is longer than the shortest one are left out",
    )  # fmt: skip
    parser.add_argument(
        "--depths", type=_depth, nargs="+", default=[0.0, 0.25, 0.5, 0.75, 1.0], metavar="X",
        help="where the paragraph stands: 0 first, 1 last",
    )  # fmt: skip
    parser.add_argument(
        "--count", type=_positive, default=20, metavar="N", help="questions, the same ones at each length and depth"
    )
    parser.add_argument(
        "--seed", type=_count, default=0, metavar="N", help="of the questions and of the order of texts"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:N, … (default: the accelerator if there is one)")
    parser.add_argument("--precision", choices=tuple(PRECISIONS), default="float32", help="of all models")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="append each row and the environment to this file")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw F1 by length and depth (.png, .svg, .pdf), of all rows of --csv"
    )


def run(options: argparse.Namespace) -> None:
    """Prints every row as it comes, then draws them."""
    if options.plot:
        plot.load_matplotlib()
    record = environment(options.device or "cpu") | {"precision": options.precision}
    if options.csv:
        rows.check(options.csv, needle.Row, record)
    needles, paragraphs = needle.read_questions(options.questions)
    for path in options.haystack:
        paragraphs += _paragraphs(path)
    readings = _readings(options)
    lengths, depths = sorted(set(options.lengths)), sorted(set(options.depths))
    haystack = needle.counted(paragraphs, readings[0].model.tokenizer)
    fitting = needle.fitting(needles, haystack, lengths[0])
    chosen = needle.drawn(fitting, options.count, options.seed)
    if left_out := len(needles) - len(fitting):
        print(f"{left_out:,} of {len(needles):,} questions left out: paragraphs of more than {lengths[0]:,} tokens")
    print(", ".join(f"{key} {value}" for key, value in record.items() if value))
    print(needle.HEADER, flush=True)
    found: list[needle.Row] = []
    total = len(lengths) * len(depths) * len(chosen) * len(readings)
    with tqdm(total=total, unit="answer", disable=None) as bar:
        for row in needle.measure(readings, chosen, haystack, lengths, depths, options.seed, bar.update):
            bar.write(needle.line(row))
            sys.stdout.flush()
            found.append(row)
            if options.csv:
                rows.append(options.csv, needle.Row, [row], record)
    for reading in readings:
        missing = [length for length in lengths if (reading.name, length) not in {(r.model, r.length) for r in found}]
        if missing:
            print(f"{reading.name}: no positions for {', '.join(f'{length:,}' for length in missing)} tokens")
    if options.plot and found:
        needle_plot.draw(rows.read(options.csv, needle.Row) if options.csv else found, options.plot)
        print(f"{options.plot}: F1 by length and depth")


def _readings(options: argparse.Namespace) -> list[needle.Reading]:
    model = LittleBird.from_pretrained(options.path, device=options.device, precision=options.precision)
    readings = [needle.Reading("one window", model)]
    if options.window:
        readings.append(_windowed("", model, options.window, options.stride))
    if options.peer:
        peer = LittleBird.from_pretrained(options.peer, device=options.device, precision=options.precision)
        path = Path(options.peer)
        name = path.parent.name if path.suffix == ".pt" else path.name
        readings.append(_windowed(f"{name}, ", peer, options.peer_window, options.stride))
    return readings


def _windowed(title: str, model: LittleBird, window: int, stride: int | None) -> needle.Reading:
    """A model that reads in windows, which it has the positions for.

    Raises:
        UserError: it has not, or the stride would skip tokens.
    """
    LittleBird(model.model, model.task, model.tokenizer, window, stride)
    return needle.Reading(f"{title}windows of {window:,}", model, window, stride)


def _paragraphs(path: Path) -> list[tuple[str, object]]:
    """Each with its article, which a text is as a whole."""
    if ".json" in path.suffixes:
        return needle.read_paragraphs(path)[1]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot be read as UTF-8 text ({type(error).__name__})", str(path), "give a text file"
        ) from error
    parts = (" ".join(part.split()) for part in text.split("\n\n"))
    return [(part, str(path)) for part in parts if part]


def _depth(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text}")
    return value
