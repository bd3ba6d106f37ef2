"""The options of commands that load a trained model."""

from __future__ import annotations

import argparse

from fairseq_littlebird.cli.numbers import positive


def add_model_options(to: argparse._ActionsContainer) -> None:
    """Adds ``--tokenizer``, ``--max-tokens``, ``--device`` and ``--precision`` to a parser, or to a group of one."""
    to.add_argument("--tokenizer", metavar="PATH", help="file or folder (default: the model's)")
    to.add_argument(
        "--max-tokens", type=positive, metavar="N", help="of a window (default: 8,192, or what the model reads)"
    )
    to.add_argument("--device", help="cpu, cuda, cuda:N, … (default: the accelerator if there is one)")
    to.add_argument(
        "--precision", choices=("float32", "bfloat16", "float16", "int8"), default="float32", help="of the model"
    )
