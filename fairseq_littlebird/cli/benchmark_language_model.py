"""littlebird-benchmark language-model: causal models side by side."""

from __future__ import annotations

import argparse
import os
import sys
from itertools import product
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from fairseq_littlebird.benchmarks import cells, language_model, rows
from fairseq_littlebird.benchmarks.environment import environment
from fairseq_littlebird.benchmarks.language_model import GIB, Limits, Row
from fairseq_littlebird.benchmarks.language_model_floor import ATTENTIONS
from fairseq_littlebird.benchmarks.language_model_workload import MODES, PARTS, LanguageModelling
from fairseq_littlebird.benchmarks.language_models import COMPARED, MODELS
from fairseq_littlebird.benchmarks.processes import OutOfMemory, OutOfTime
from fairseq_littlebird.benchmarks.timing import FLOOR
from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import positive as _positive
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config.windows import check_windows, dilations_of_layers, windows_of_layers
from fairseq_littlebird.pipelines.device import check_device

DEFAULT = LanguageModelling(MODES[0], length=0)


def add_parser(commands: Any) -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "language-model",
        help="causal language models: training, scoring and generation, compared with full attention",
        formatter_class=HelpFormatter,
        description="Compares causal language models with random weights: a pass over L tokens without and with "
        "gradients, and generation of tokens after a text of L tokens. Each model first runs alone, for its memory "
        "and to see whether it keeps within the limits; then all run alternately in one process.",
    )
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, metavar="NAME",
        help=f"of {', '.join(MODELS)} (the matrix products of longformer_lm alone), by default {', '.join(COMPARED)}; "
        "ratios are relative to the first",
    )  # fmt: skip
    parser.add_argument(
        "--modes", nargs="+", choices=MODES, metavar="MODE", help=f"what to measure: {', '.join(MODES)} (default: all)"
    )
    parser.add_argument(
        "--lengths", type=_positive, nargs="+", default=[1024, 2048, 4096, 8192, 16384, 32768], metavar="L",
        help="tokens of a text",
    )  # fmt: skip
    parser.add_argument(
        "--part", choices=PARTS, default=PARTS[0],
        help=f"whole models, or the attention of their layers alone: of {', '.join(ATTENTIONS)}, without generation",
    )  # fmt: skip
    parser.add_argument("--batch", type=_positive, default=1, metavar="B", help="texts at once")
    for option, default, what in (
        ("layers", DEFAULT.layers, "layers"),
        ("width", DEFAULT.width, "hidden size"),
        ("heads", DEFAULT.heads, "attention heads"),
        ("ffn-width", DEFAULT.ffn_width, "size of the feed-forward layers"),
        ("vocabulary", DEFAULT.vocabulary, "tokens in the vocabulary"),
    ):
        parser.add_argument(f"--{option}", type=_positive, default=default, metavar="N", help=what)
    parser.add_argument("--attention-window", default=DEFAULT.windows, metavar="W", help="as for fairseq-train")
    parser.add_argument("--attention-dilation", default=DEFAULT.dilations, metavar="D", help="as for fairseq-train")
    parser.add_argument(
        "--tokens", type=_positive, default=DEFAULT.tokens, metavar="T", help="tokens that a run of generation writes"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N, …")
    parser.add_argument("--threads", type=_positive, default=torch.get_num_threads(), metavar="N", help="CPU threads")
    parser.add_argument("--runs", type=_positive, default=5, metavar="N", help="measured runs, after one warm-up run")
    parser.add_argument(
        "--memory-limit", type=_amount, default=_three_quarters(), metavar="GIB",
        help="memory that a model may take; one that needs more is left out, and so is it at longer texts",
    )  # fmt: skip
    parser.add_argument(
        "--time-limit", type=_amount, default=120.0, metavar="S",
        help="seconds that a model's first run may take, with the start of its process",
    )  # fmt: skip
    parser.add_argument("--csv", type=Path, metavar="FILE", help="append each row and the environment to this file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write them to this file, after each setting")


def run(options: argparse.Namespace) -> None:
    """Prints every row as it comes, then from which length on the first model is faster."""
    check_device(options.device)
    options.models, options.modes = _compared(options)
    settings = _settings(options)
    record = environment(options.device)
    if options.csv:
        rows.check(options.csv, Row, record)
    if options.json:
        cells.check_folder(options.json)
    limits = Limits(int(options.memory_limit * GIB), options.time_limit)
    print(", ".join(f"{key} {value}" for key, value in record.items() if value))
    print(language_model.HEADER, flush=True)
    found: list[Row] = []
    left_out: dict[tuple[str, str], str] = {}  # of a mode and a model
    with tqdm(total=len(settings) * (len(options.models) + 1), unit="run", disable=None) as bar:
        for of in settings:
            names = [name for name in options.models if (of.mode, name) not in left_out]
            if names[:1] != options.models[:1]:  # nothing to compare with
                continue
            bar.set_postfix_str(f"{of.mode}, {of.length:,} tokens", refresh=False)
            lines = []
            try:
                new, skipped = language_model.measure(of, names, options.runs, limits, bar.update)
            except (OutOfMemory, OutOfTime) as error:
                new, skipped = [], {names[0]: language_model.reason(error, limits)}
            lines += [language_model.line(row) for row in new]
            for name, why in skipped.items():
                lines.append(f"{of.length:>7,} {of.mode:16} {name}: left out from here on, {why}")
                left_out[of.mode, name] = why
            bar.write("\n".join(lines))
            sys.stdout.flush()
            found += new
            if options.csv:
                rows.append(options.csv, Row, new, record)
            if options.json:
                rows.write_json(options.json, found, record)
    for mode, peer in product(options.modes, options.models[1:]):
        if found and FLOOR not in (options.models[0], peer):
            print(language_model.crossover(found, mode, peer))


def _compared(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Models and modes: those that were named, or what the part has by default.

    Raises:
        UserError: one that the part does not have.
    """
    whole = options.part == PARTS[0]
    models, modes = (list(COMPARED), list(MODES)) if whole else (list(ATTENTIONS), list(MODES[:2]))
    for option, given, known in (("--models", options.models, models), ("--modes", options.modes, modes)):
        unknown = [name for name in given or () if name not in known]
        if unknown and not whole:
            raise UserError(f"{option} {unknown[0]}", "--part attention", f"choose of {', '.join(known)}")
    return options.models or models, options.modes or modes


def _settings(options: argparse.Namespace) -> list[LanguageModelling]:
    """Every mode at every length, from the shortest.

    Raises:
        UserError: sizes that do not fit together.
    """
    try:
        if options.width % options.heads:
            raise ValueError(f"{options.heads} attention heads do not divide a width of {options.width}")
        check_windows(
            windows_of_layers(options.attention_window, options.layers),
            dilations_of_layers(options.attention_dilation, options.layers, options.heads),
            options.layers,
            options.heads,
        )
    except ValueError as error:
        raise UserError(str(error), remedy="choose sizes that fit together") from error
    return [
        LanguageModelling(
            mode=mode,
            length=length,
            batch=options.batch,
            layers=options.layers,
            width=options.width,
            heads=options.heads,
            ffn_width=options.ffn_width,
            vocabulary=options.vocabulary,
            windows=options.attention_window,
            dilations=options.attention_dilation,
            tokens=options.tokens,
            threads=options.threads,
            device=options.device,
            part=options.part,
        )
        for mode, length in product(options.modes, sorted(options.lengths))
    ]


def _three_quarters() -> float:
    """Of this machine's memory, in GiB."""
    return round(0.75 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1)


def _amount(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value
