"""littlebird-benchmark: time and memory beside other encoders and the machine's own limit."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

import torch
from tqdm import tqdm

from fairseq_littlebird.benchmarks import architectures, cells, heatmap, pipeline, plot, quality, table
from fairseq_littlebird.benchmarks.attention import ATTENTION, CHOICES, FULL, unavailable
from fairseq_littlebird.benchmarks.comparison import Benchmark, compare
from fairseq_littlebird.benchmarks.efficiency import EFFICIENCY, VOCABULARY
from fairseq_littlebird.benchmarks.encoder import ENCODER, OURS, PRECISIONS
from fairseq_littlebird.benchmarks.environment import environment
from fairseq_littlebird.benchmarks.peers import PEERS
from fairseq_littlebird.benchmarks.processes import ALLOCATORS, fresh_process
from fairseq_littlebird.benchmarks.steps import Step
from fairseq_littlebird.benchmarks.workload import DTYPES, MODES, SIZES, Workload
from fairseq_littlebird.cli.numbers import count as _count
from fairseq_littlebird.cli.numbers import positive as _positive
from fairseq_littlebird.errors import UserError, exit_on_user_error

DIMENSIONS = {"width": 1, "heads": 1, "ffn_width": 1, "pack_size": 0, "block_size": 1}  # and the least of each


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    options.command(options)


def _attention(options: argparse.Namespace) -> None:
    workloads = _workloads(options, layers=1)
    backends = options.backends or CHOICES
    hardest = max(workloads, key=lambda workload: workload.backward)  # not every backend has gradients everywhere
    reasons = fresh_process(unavailable, hardest, backends)
    for name, reason in reasons.items():
        if options.backends:
            raise UserError(f"backend {name!r} does not run here: {reason}", remedy="leave it out of --backends")
        print(f"{name} does not run here: {reason}")
    names = [name for name in backends if name not in reasons] + [FULL] * options.peers
    _compare(ATTENTION, workloads, names, options, {} if options.backends else {"dense": options.dense_up_to})


def _encoder(options: argparse.Namespace) -> None:
    peers = list(PEERS) if options.peers == [] else options.peers or []
    _compare(ENCODER, _workloads(options, options.layers), [OURS, *peers], options)


def _efficiency(options: argparse.Namespace) -> None:
    peers = list(PEERS) if options.peers == [] else options.peers or []
    names = architectures.names(options.architectures, options.global_tokens, peers)
    layers = options.layers or architectures.LAYERS[options.size]
    workloads = [
        dataclasses.replace(workload, vocabulary=options.vocabulary) for workload in _workloads(options, layers)
    ]
    up_to = {}
    if options.full_up_to:
        up_to = dict.fromkeys((architectures.FULL, architectures.OF_PEERS + architectures.FULL), options.full_up_to)
    _compare(EFFICIENCY, workloads, names, options, up_to)


def _quality(options: argparse.Namespace) -> None:
    compared = quality.read(options.config, options.changes)
    print(", ".join(f"{key} {value}" for key, value in environment().items() if value), flush=True)
    runs = quality.runs(compared)
    with tqdm(total=sum(len(quality.steps(compared, run)) for run in runs), unit="step", disable=None) as bar:

        def done(run: quality.Run, step: Step) -> None:
            bar.set_postfix_str(f"{run.key}: {step.name}", refresh=False)
            bar.update()

        results = quality.perform(compared, options.jobs, options.threads, done)
    print(quality.markdown(compared, results))


def _pipeline(options: argparse.Namespace) -> None:
    record = environment()
    print(", ".join(f"{key} {value}" for key, value in record.items() if value))
    print(pipeline.HEADER, flush=True)
    rows = []
    for row in pipeline.run(options):
        print(pipeline.line(row), flush=True)
        rows.append(row)
    if options.csv:
        pipeline.write_csv(options.csv, rows, record)


def _heatmap(options: argparse.Namespace) -> None:
    plot.load_matplotlib()
    names = [*options.titles, *["student"] * len(options.student)][: len(options.student)]
    compared = [(options.teacher, "teacher", options.teacher_length)]
    compared += [(path, name, options.student_length) for path, name in zip(options.student, names, strict=True)]
    models = [heatmap.load(path, options.data, length) for path, _, length in compared]
    layers, heads = heatmap.same_sizes(models, [path for path, *_ in compared])
    panels = heatmap.chosen(options.heads, layers, heads)
    maps = []
    with tqdm(total=len(models) * options.sequences, unit="sequence", disable=None) as bar:
        for model, (_, title, length) in zip(models, compared, strict=True):
            texts = heatmap.sequences(options.data, options.split, length, options.sequences)
            maps.append(heatmap.heatmaps(model, texts, options.bins, title, bar.update))
    heatmap.draw(maps, panels, options.plot, options.columns)
    print(f"{options.plot}: {len(panels)} heads or means of {options.sequences} sequences a model")
    for of_model in maps[1:]:
        shares = " ".join(f"{100 * share:.1f}" for share in of_model.packed.tolist())
        print(f"{of_model.title}: {shares} % of each layer's attention goes through the packed rows")


def _report(options: argparse.Namespace) -> None:
    _show([cell for path in options.files for cell in cells.read(path)], options)


def _workloads(options: argparse.Namespace, layers: int) -> list[Workload]:
    """Every mode and length asked for."""
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"no device {options.device!r} here", remedy="leave out --device")
    given = {name: getattr(options, name) for name in DIMENSIONS if getattr(options, name) is not None}
    try:
        sizes = dataclasses.replace(SIZES[options.size], **given)
    except ValueError as error:
        raise UserError(str(error), remedy="change --width or --heads") from error
    workload = Workload(
        sizes,
        layers,
        length=0,
        batch=options.batch,
        padding=options.padding,
        dtype=options.dtype,
        device=options.device,
        dropout=options.dropout,
        threads=options.threads,
        compiled=options.compile,
    )
    modes_lengths = product(options.modes, options.lengths)
    return [dataclasses.replace(workload, mode=mode, length=length) for mode, length in modes_lengths]


def _compare(
    benchmark: Benchmark,
    workloads: Iterable[Workload],
    names: Sequence[str],
    options: argparse.Namespace,
    up_to: Mapping[str, int] | None = None,
) -> None:
    """Prints every cell as it comes, then what else was asked for; a bar shows how much is left.

    Args:
        up_to: the longest input of a model, by name, where it has one.
    """
    steps = []
    for workload, allocator in product(workloads, options.allocator):
        chosen = [name for name in names if workload.length <= (up_to or {}).get(name, workload.length)]
        if not chosen:
            raise UserError(f"nothing to run at {workload.length} tokens", remedy="leave the length or the bound out")
        steps.append((workload, allocator, chosen))
    if options.csv:
        cells.check(options.csv)
    if options.plot:
        plot.load_matplotlib()
    print(", ".join(f"{key} {value}" for key, value in environment(options.device).items() if value))
    print(table.HEADER, flush=True)
    found = []
    total = sum(len(chosen) for *_, chosen in steps) * (1 + options.memory)
    with tqdm(total=total, unit="cell", disable=None) as bar:
        for workload, allocator, chosen in steps:
            bar.set_postfix_str(f"{workload.mode}, {workload.length:,} tokens")
            new = compare(benchmark, workload, chosen, options.runs, allocator, options.memory, bar.update)
            lines = [*map(table.line, new)]
            lines += [f"{name}: out of memory" for name in chosen if name not in {cell.model for cell in new}]
            bar.write("\n".join(lines))
            sys.stdout.flush()
            if options.csv:
                cells.append(options.csv, new)
            found += new
    _show(found, options)


def _show(found: Sequence[cells.Cell], options: argparse.Namespace) -> None:
    """The Markdown and the picture, if asked for."""
    if options.markdown:
        print(table.markdown(found))
    if options.plot:
        plot.draw(found, options.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="littlebird-benchmark",
        description="Times and memory side by side: everything of one length runs in turn in one process; medians "
        "and ranges; beside each figure the floor, the time that the layer's matrix products alone take.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shown = _shown()

    attention = commands.add_parser(
        "attention",
        parents=[_measured(), shown],
        help="one layer's unpack and sliding-window attention, its backends side by side; for where it goes: heatmap",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    attention.set_defaults(command=_attention)
    attention.add_argument(
        "--backends",
        nargs="+",
        choices=CHOICES,
        metavar="NAME",
        help=f"some of {', '.join(CHOICES)}; by default all that run here",
    )
    attention.add_argument(
        "--dense-up-to",
        type=_positive,
        default=2048,
        metavar="L",
        help="longest input of the dense reference, unless it is asked for by name",
    )
    attention.add_argument("--peers", action="store_true", help="also scaled dot-product attention over all tokens")

    encoder = commands.add_parser(
        "encoder",
        parents=[_measured(), shown],
        help="whole encoders side by side",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    encoder.set_defaults(command=_encoder)
    encoder.add_argument("--layers", type=_positive, default=2, metavar="N", help="of each encoder")
    encoder.add_argument(
        "--peers",
        nargs="*",
        choices=[*PEERS, *PRECISIONS],
        metavar="NAME",
        help=f"all of {', '.join(PEERS)}; or some of them and of {', '.join(PRECISIONS)}",
    )

    efficiency = commands.add_parser(
        "efficiency",
        parents=[_measured([1024, 2048, 4096, 8192], memory=True), shown],
        help="whole models on masked words: peak memory and latency, in training and in inference",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    efficiency.set_defaults(command=_efficiency)
    efficiency.add_argument("--layers", type=_positive, metavar="N", help="instead of the size's 3, 12 or 24")
    efficiency.add_argument(
        "--vocabulary", type=_positive, default=VOCABULARY, metavar="N", help="words, RoBERTa's by default"
    )
    efficiency.add_argument(
        "--architectures",
        nargs="+",
        choices=architectures.FAMILIES,
        default=list(architectures.FAMILIES),
        metavar="NAME",
        help=f"some of {', '.join(architectures.FAMILIES)}; ratios are to the first",
    )
    efficiency.add_argument(
        "--global-tokens", type=_positive, nargs="+", default=[64, 128, 256, 512], metavar="G", help="of BigBird-ETC"
    )
    efficiency.add_argument(
        "--full-up-to", type=_positive, metavar="L", help="longest input of full attention, ours and the peers'"
    )
    efficiency.add_argument(
        "--peers", nargs="*", choices=PEERS, metavar="NAME", help=f"transformers', all of {', '.join(PEERS)} or some"
    )

    trained = commands.add_parser(
        "quality",
        help="architectures trained alike on the same data: accuracy of span selection, EM and F1 of answers",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    trained.set_defaults(command=_quality)
    trained.add_argument("--config", type=Path, required=True, metavar="FILE", help="YAML, see configs/quality")
    trained.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="instead of the file's, e.g. seeds=[1]")
    trained.add_argument("--jobs", type=_positive, default=1, metavar="N", help="runs at a time")
    trained.add_argument("--threads", type=_positive, default=1, metavar="N", help="of each run")

    around = commands.add_parser(
        "pipeline",
        help="what stands around the model: masking, padding, loading, preparing, answering",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    around.set_defaults(command=_pipeline)
    pipeline.add_arguments(around)

    drawn = commands.add_parser(
        "heatmap",
        help="figure 4: mean attention by query and key position, a teacher's beside its students'",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    drawn.set_defaults(command=_heatmap)
    drawn.add_argument("data", type=Path, metavar="DATA", help="text that fairseq-preprocess made numbers of")
    drawn.add_argument("--teacher", required=True, metavar="CHECKPOINT", help="of littlebird-warm-start --to full")
    drawn.add_argument("--student", required=True, nargs="+", metavar="CHECKPOINT", help="of LittleBird")
    drawn.add_argument("--titles", nargs="+", default=[], metavar="NAME", help="of the students")
    drawn.add_argument("--split", default="valid", metavar="SPLIT", help="of DATA, held out")
    drawn.add_argument("--teacher-length", type=_positive, default=512, metavar="L", help="tokens of its sequences")
    drawn.add_argument("--student-length", type=_positive, default=1536, metavar="L", help="tokens of theirs")
    drawn.add_argument("--sequences", type=_positive, default=16, metavar="N", help="of each model")
    drawn.add_argument("--bins", type=_positive, default=128, metavar="N", help="positions a side, neighbours together")
    drawn.add_argument(
        "--heads",
        nargs="+",
        default=["mean"],
        metavar="NAME",
        help="mean: the mean over the heads, a panel a layer; all: that and every head; or LAYER.HEAD, from 0.0",
    )
    drawn.add_argument("--columns", type=_positive, default=2, metavar="N", help="layers or heads side by side")
    drawn.add_argument("--plot", type=Path, required=True, metavar="FILE", help="the picture to draw")

    report = commands.add_parser("report", parents=[shown], help="what --csv wrote, as Markdown and as a picture")
    report.set_defaults(command=_report)
    report.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV")
    return parser


def _measured(lengths: Sequence[int] = (512, 1024, 2048, 4096, 8192), memory: bool = False) -> argparse.ArgumentParser:
    """What attention, encoder and efficiency share, but for the defaults."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--size", choices=SIZES, default="base", help="width 64, 768 or 1024, and the rest")
    for name, least in DIMENSIONS.items():
        kind = _positive if least else _count
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help="instead of the size's")
    parser.add_argument("--lengths", type=_positive, nargs="+", default=list(lengths), metavar="L", help="tokens")
    parser.add_argument("--batch", type=_positive, default=1, metavar="B", help="sequences")
    parser.add_argument("--padding", type=_share, default=0.0, metavar="X", help="share of padded tokens in a batch")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), metavar="MODE", help=", ".join(MODES))
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of weights and hidden states")
    parser.add_argument("--dropout", type=_share, default=0.0, metavar="X", help="in forward+backward")
    parser.add_argument("--compile", action="store_true", help="torch.compile every model first")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    parser.add_argument(
        "--threads", type=_positive, default=torch.get_num_threads(), metavar="N", help="of the processor"
    )
    parser.add_argument(
        "--allocator",
        nargs="+",
        choices=ALLOCATORS,
        default=["default"],
        metavar="NAME",
        help="the C library's: default; tuned, which keeps freed blocks; exact, which keeps none (for memory)",
    )
    parser.add_argument("--runs", type=_positive, default=5, metavar="N", help="counted runs, after one that is not")
    parser.add_argument(
        "--memory",
        action=argparse.BooleanOptionalAction,
        default=memory,
        help="peaks too, from a fresh process each; beyond weights and gradients, but for efficiency's",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="add the figures, with the environment, to this file")
    return parser


def _shown() -> argparse.ArgumentParser:
    """What becomes of the figures, measured now or read."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table in the end")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw time and memory a token by length")
    return parser


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not between 0 and 1")
    return value


if __name__ == "__main__":
    main()
