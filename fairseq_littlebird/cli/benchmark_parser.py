"""The arguments of ``littlebird-benchmark``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from fairseq_littlebird.benchmarks import architectures, pipeline
from fairseq_littlebird.benchmarks.attention import CHOICES
from fairseq_littlebird.benchmarks.efficiency import VOCABULARY
from fairseq_littlebird.benchmarks.encoder import OTHERS, PRECISIONS
from fairseq_littlebird.benchmarks.generation_models import FAMILIES
from fairseq_littlebird.benchmarks.peers import PEERS
from fairseq_littlebird.benchmarks.processes import ALLOCATORS
from fairseq_littlebird.benchmarks.workload import BERT_SIZES, DTYPES, MODERNBERT_LAYERS, MODES, SIZES
from fairseq_littlebird.cli import benchmark_language_model, benchmark_needle
from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import count as _count
from fairseq_littlebird.cli.numbers import positive as _positive

DIMENSIONS = {"width": 1, "heads": 1, "ffn_width": 1, "pack_size": 0, "block_size": 1}  # and the least of each


def parser() -> argparse.ArgumentParser:
    """Its ``command`` is the subcommand's name."""
    parser = argparse.ArgumentParser(
        prog="littlebird-benchmark",
        description="Compares time and memory. All models of one input length run alternately in one process; the "
        "figures are medians and ranges. The floor next to each is the time of the layer's matrix products alone.",
    )
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    shown = _shown()

    attention = commands.add_parser(
        "attention",
        parents=[_measured(), shown],
        help="one layer's unpack and sliding-window attention: compares the backends",
        formatter_class=HelpFormatter,
    )
    attention.add_argument(
        "--backends",
        nargs="+",
        choices=CHOICES,
        metavar="NAME",
        help=f"backends to compare, of {', '.join(CHOICES)} (default: all that run on this machine)",
    )
    attention.add_argument(
        "--dense-up-to",
        type=_positive,
        default=2048,
        metavar="L",
        help="longest input of the dense reference, unless --backends names it",
    )
    attention.add_argument(
        "--peers", action="store_true", help="also measure PyTorch's scaled dot-product attention over all tokens"
    )

    encoder = commands.add_parser(
        "encoder",
        parents=[_measured(sizes=tuple(SIZES)), shown],
        help="encoders: compares LittleBird with other models",
        formatter_class=HelpFormatter,
    )
    encoder.add_argument(
        "--layers",
        type=_positive,
        metavar="N",
        help=f"layers of each encoder (default: 2; of modernbert_base {MODERNBERT_LAYERS})",
    )
    encoder.add_argument(
        "--peers",
        nargs="*",
        choices=[*PEERS, *OTHERS],
        metavar="NAME",
        help=f"models of transformers to compare with (without NAME all of {', '.join(PEERS)}), LittleBird in "
        f"another precision ({', '.join(PRECISIONS)}), or fairseq's RoBERTa (fairseq)",
    )

    efficiency = commands.add_parser(
        "efficiency",
        parents=[_measured([1024, 2048, 4096, 8192], memory=True), shown],
        help="models with a masked-LM head: peak memory and latency in training and inference",
        formatter_class=HelpFormatter,
    )
    efficiency.add_argument("--layers", type=_positive, metavar="N", help="layers (default: 3, 12 or 24, by --size)")
    efficiency.add_argument(
        "--vocabulary", type=_positive, default=VOCABULARY, metavar="N", help="tokens in the vocabulary"
    )
    efficiency.add_argument(
        "--architectures",
        nargs="+",
        choices=architectures.FAMILIES,
        default=list(architectures.FAMILIES),
        metavar="NAME",
        help="architectures to compare; ratios are relative to the first",
    )
    efficiency.add_argument(
        "--global-tokens",
        type=_positive,
        nargs="+",
        default=[64, 128, 256, 512],
        metavar="G",
        help="global tokens of BigBird-ETC",
    )
    efficiency.add_argument(
        "--full-up-to",
        type=_positive,
        metavar="L",
        help="longest input of full attention, for this package and transformers",
    )
    efficiency.add_argument(
        "--peers",
        nargs="*",
        choices=PEERS,
        metavar="NAME",
        help=f"also models of transformers (without NAME all of {', '.join(PEERS)})",
    )

    trained = commands.add_parser(
        "quality",
        help="trains architectures with the same settings and data: accuracy of span selection, EM and F1 of answers",
        formatter_class=HelpFormatter,
    )
    trained.add_argument("--config", type=Path, required=True, metavar="FILE", help="YAML, see configs/quality")
    trained.add_argument(
        "changes", nargs="*", metavar="KEY=VALUE", help="overrides a setting of the file, e.g. seeds=[1]"
    )
    trained.add_argument("--jobs", type=_positive, default=1, metavar="N", help="runs in parallel")
    trained.add_argument("--threads", type=_positive, default=1, metavar="N", help="CPU threads of each run")

    around = commands.add_parser(
        "pipeline",
        help="everything around the model: masking, padding, data loading, preparation, decoding",
        formatter_class=HelpFormatter,
    )
    pipeline.add_arguments(around)

    written = commands.add_parser(
        "generation",
        help="summaries by beam search: time and memory, compared with transformers with the same weights",
        formatter_class=HelpFormatter,
    )
    written.add_argument(
        "--models", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="NAME", help="encoder–decoders"
    )
    written.add_argument("--size", choices=BERT_SIZES, default="base", help="as in the other commands")
    written.add_argument("--layers", type=_positive, default=6, metavar="N", help="layers of each side")
    written.add_argument("--vocabulary", type=_positive, default=VOCABULARY, metavar="N", help="tokens")
    written.add_argument(
        "--lengths", type=_positive, nargs="+", default=[1024, 4096, 16384], metavar="L", help="tokens of a document"
    )
    written.add_argument("--batches", type=_positive, nargs="+", default=[1, 8], metavar="B", help="documents at once")
    written.add_argument("--beams", type=_positive, nargs="+", default=[1, 4], metavar="K", help="beam sizes")
    written.add_argument("--tokens", type=_positive, default=64, metavar="T", help="tokens to write of each document")
    written.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N, …")
    written.add_argument("--threads", type=_positive, default=torch.get_num_threads(), metavar="N", help="CPU threads")
    written.add_argument("--runs", type=_positive, default=3, metavar="N", help="measured runs, after one warm-up run")
    written.add_argument(
        "--memory",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also measure peak memory, each in a new process",
    )
    written.add_argument("--csv", type=Path, metavar="FILE", help="append each row and the environment to this file")
    written.add_argument("--json", type=Path, metavar="FILE", help="write them to this file, after each row")

    benchmark_language_model.add_parser(commands)
    benchmark_needle.add_parser(commands)

    drawn = commands.add_parser(
        "heatmap",
        help="the paper's figure 4: mean attention by query and key position, of a teacher and its students",
        formatter_class=HelpFormatter,
    )
    drawn.add_argument("data", type=Path, metavar="DATA", help="text that fairseq-preprocess binarized")
    drawn.add_argument(
        "--teacher",
        required=True,
        metavar="CHECKPOINT",
        help="full-attention model, e.g. of littlebird-warm-start --to full",
    )
    drawn.add_argument("--student", required=True, nargs="+", metavar="CHECKPOINT", help="LittleBird models")
    drawn.add_argument("--titles", nargs="+", default=[], metavar="NAME", help="titles of the students' plots")
    drawn.add_argument("--split", default="valid", metavar="SPLIT", help="split of DATA, held out")
    drawn.add_argument(
        "--teacher-length", type=_positive, default=512, metavar="L", help="tokens per sequence of the teacher"
    )
    drawn.add_argument(
        "--student-length", type=_positive, default=1536, metavar="L", help="tokens per sequence of the students"
    )
    drawn.add_argument("--sequences", type=_positive, default=16, metavar="N", help="sequences per model")
    drawn.add_argument(
        "--bins", type=_positive, default=128, metavar="N", help="bins per axis; neighbouring positions are averaged"
    )
    drawn.add_argument(
        "--heads",
        nargs="+",
        default=["mean"],
        metavar="NAME",
        help="mean: a panel per layer, the mean over its heads; all: that and every head; or single heads as "
        "LAYER.HEAD, both counted from 0, such as 0.3",
    )
    drawn.add_argument("--columns", type=_positive, default=2, metavar="N", help="panels per line")
    drawn.add_argument("--plot", type=Path, required=True, metavar="FILE", help="picture to write")

    report = commands.add_parser("report", parents=[shown], help="tables and plots of the files that --csv wrote")
    report.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV")
    return parser


def _measured(
    lengths: Sequence[int] = (512, 1024, 2048, 4096, 8192),
    memory: bool = False,
    sizes: Sequence[str] = BERT_SIZES,
) -> argparse.ArgumentParser:
    """The options that attention, encoder and efficiency share."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--size",
        choices=sizes,
        default="base",
        help="model size: tiny, minilm, base and large have width 64, 384, 768 and 1024"
        + ("; modernbert_base is base in ModernBERT's form" if len(sizes) > len(BERT_SIZES) else ""),
    )
    for name, least in DIMENSIONS.items():
        kind = _positive if least else _count
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help="(default: that of --size)")
    parser.add_argument(
        "--lengths", type=_positive, nargs="+", default=list(lengths), metavar="L", help="input lengths in tokens"
    )
    parser.add_argument("--batch", type=_positive, default=1, metavar="B", help="batch size in sequences")
    parser.add_argument(
        "--padding", type=_share, default=0.0, metavar="X", help="fraction of padding tokens in a batch"
    )
    parser.add_argument(
        "--modes", nargs="+", choices=MODES, default=list(MODES), metavar="MODE", help="what to measure"
    )
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="data type of weights and hidden states")
    parser.add_argument("--dropout", type=_share, default=0.0, metavar="X", help="dropout in forward+backward")
    parser.add_argument("--compile", action="store_true", help="compile every model with torch.compile first")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N, …")
    parser.add_argument("--threads", type=_positive, default=torch.get_num_threads(), metavar="N", help="CPU threads")
    parser.add_argument(
        "--allocator",
        nargs="+",
        choices=ALLOCATORS,
        default=["default"],
        metavar="NAME",
        help="the C library's allocator: default; tuned keeps freed blocks; exact keeps none, to measure memory",
    )
    parser.add_argument("--runs", type=_positive, default=5, metavar="N", help="measured runs, after one warm-up run")
    parser.add_argument(
        "--memory",
        action=argparse.BooleanOptionalAction,
        default=memory,
        help="also measure peak memory, each in a new process; weights and gradients count in efficiency only",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="append the figures and the environment to this file")
    return parser


def _shown() -> argparse.ArgumentParser:
    """Options for what to do with the figures."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and the environment to this file")
    parser.add_argument("--markdown", action="store_true", help="also print a Markdown table")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="plot time and memory per token against length")
    return parser


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, got {text}")
    return value
