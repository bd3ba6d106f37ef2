"""littlebird-benchmark: time and memory beside other encoders and the machine's own limit."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product

from tqdm import tqdm

from fairseq_littlebird.benchmarks import (
    architectures,
    cells,
    generation,
    heatmap,
    pipeline,
    plot,
    quality,
    rows,
    table,
)
from fairseq_littlebird.benchmarks.attention import ATTENTION, CHOICES, FULL, unavailable
from fairseq_littlebird.benchmarks.comparison import Benchmark, compare
from fairseq_littlebird.benchmarks.efficiency import EFFICIENCY
from fairseq_littlebird.benchmarks.encoder import ENCODER, INT8, OURS
from fairseq_littlebird.benchmarks.environment import environment
from fairseq_littlebird.benchmarks.generation_models import Generation
from fairseq_littlebird.benchmarks.peers import PEERS
from fairseq_littlebird.benchmarks.processes import OutOfMemory, fresh_process
from fairseq_littlebird.benchmarks.steps import Step
from fairseq_littlebird.benchmarks.workload import MODERNBERT_LAYERS, SIZES, Workload
from fairseq_littlebird.cli import benchmark_language_model, benchmark_needle
from fairseq_littlebird.cli.benchmark_parser import DIMENSIONS
from fairseq_littlebird.cli.benchmark_parser import parser as _parser
from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.pipelines.device import check_device


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    COMMANDS[options.command](options)


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
    if INT8 in peers and any(mode != "forward" for mode in options.modes):
        raise UserError(f"{INT8!r} has no gradients", remedy="add --modes forward, or leave it out of --peers")
    layers = options.layers or (MODERNBERT_LAYERS if SIZES[options.size].modernbert else 2)
    _compare(ENCODER, _workloads(options, layers), [OURS, *peers], options)


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
    measured = []
    for row in pipeline.run(options):
        print(pipeline.line(row), flush=True)
        measured.append(row)
    if options.csv:
        pipeline.write_csv(options.csv, measured, record)


def _generation(options: argparse.Namespace) -> None:
    check_device(options.device)
    record = environment(options.device)
    if options.csv:
        rows.check(options.csv, generation.Row, record)
    if options.json:
        cells.check_folder(options.json)
    settings = [
        Generation(
            family, SIZES[options.size], options.layers, options.vocabulary, length, batch, beam, options.tokens,
            options.threads, options.device,
        )
        for family, length, batch, beam in product(options.models, options.lengths, options.batches, options.beams)
    ]  # fmt: skip
    print(", ".join(f"{key} {value}" for key, value in record.items() if value))
    print(generation.HEADER, flush=True)
    written: list[generation.Row] = []
    with tqdm(total=len(settings), unit="setting", disable=None) as bar:
        for setting in settings:
            bar.set_postfix_str(f"{setting.family}, {setting.length:,} tokens", refresh=False)
            try:
                new, failed = generation.measure(setting, options.runs, options.memory)
            except OutOfMemory as error:
                new, failed = [], {generation.OURS: str(error)}
            where = f"{setting.length:,} tokens, batch {setting.batch}, beam {setting.beam}"
            lines = [f"{setting.family} of {name}, {where}: {reason}" for name, reason in failed.items()]
            bar.write("\n".join([*map(generation.line, new), *lines]))
            sys.stdout.flush()
            bar.update()
            written += new
            if options.csv:
                rows.append(options.csv, generation.Row, new, record)
            if options.json:
                rows.write_json(options.json, written, record)


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
    print(f"{options.plot}: {len(panels)} heads or means over heads, {options.sequences} sequences per model")
    for of_model in maps[1:]:
        shares = " ".join(f"{100 * share:.1f}" for share in of_model.pack.tolist())
        print(f"{of_model.title}: {shares} % of each layer's attention goes through the pack vectors")


def _report(options: argparse.Namespace) -> None:
    _show([cell for path in options.files for cell in cells.read(path)], options)


def _workloads(options: argparse.Namespace, layers: int) -> list[Workload]:
    """Every mode and length asked for."""
    check_device(options.device)
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
    if options.json:
        cells.check_folder(options.json)
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
    """The JSON file, the Markdown and the picture, if asked for."""
    if options.json:
        cells.write_json(options.json, found)
    if options.markdown:
        print(table.markdown(found))
    if options.plot:
        plot.draw(found, options.plot)


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "attention": _attention,
    "encoder": _encoder,
    "efficiency": _efficiency,
    "quality": _quality,
    "pipeline": _pipeline,
    "generation": _generation,
    "language-model": benchmark_language_model.run,
    "heatmap": _heatmap,
    "needle": benchmark_needle.run,
    "report": _report,
}


if __name__ == "__main__":
    main()
