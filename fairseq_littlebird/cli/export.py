"""littlebird-export: a trained model for transformers, or as an ONNX graph."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_littlebird.errors import UserError, exit_on_user_error


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    options.run(options)


def _hugging_face(options: argparse.Namespace) -> None:
    # argument parsing and --help should not wait for torch
    from fairseq_littlebird.export.folder import check_export
    from fairseq_littlebird.export.hugging_face import NAMES, write_hugging_face
    from fairseq_littlebird.export.seq2seq import family_of

    if family := family_of(options.checkpoint):
        _seq2seq(options, family)
        return
    check_export(options.out, NAMES, options.overwrite)
    scores = _scores(options)
    trained = _trained(options)
    write_hugging_face(trained, options.out, scores, options.dataset or "", options.overwrite)
    print(f"{options.out}: {_description(trained)}, for transformers with trust_remote_code=True")


def _seq2seq(options: argparse.Namespace, family: str) -> None:
    from fairseq_littlebird.export.folder import check_export
    from fairseq_littlebird.export.seq2seq import NAMES, exported_seq2seq, write_seq2seq
    from fairseq_littlebird.registration import register

    check_export(options.out, NAMES, options.overwrite)
    given = [f"--{name.replace('_', '-')}" for name in ("metrics", "dataset", "max_answer_length")
             if getattr(options, name) is not None]  # fmt: skip
    if given:
        raise UserError(
            f"{', '.join(given)} with an encoder–decoder", remedy="leave it out: the model writes no answers"
        )
    register()
    exported = exported_seq2seq(options.checkpoint, family, options.tokenizer)
    write_seq2seq(exported, options.out, options.overwrite)
    kind, config = type(exported.model).__name__, exported.model.config
    print(
        f"{options.out}: {kind}, {config.encoder_layers} and {config.decoder_layers} layers, "
        f"{config.vocab_size:,} tokens, for transformers; {' '.join(exported.notes) or 'README.md says how'}"
    )


def _onnx(options: argparse.Namespace) -> None:
    from fairseq_littlebird.export.folder import check_export
    from fairseq_littlebird.export.onnx import NAMES, write_onnx

    check_export(options.out, NAMES, options.overwrite)
    trained = _trained(options)
    difference = write_onnx(trained, options.out, options.overwrite)
    print(f"{options.out}: {_description(trained)}, as model.onnx, {difference:.1e} from PyTorch at most")


def _trained(options: argparse.Namespace) -> Any:
    from fairseq_littlebird.export.trained_model import trained_model
    from fairseq_littlebird.registration import register

    register()
    return trained_model(options.checkpoint, options.tokenizer, options.max_answer_length)


def _description(trained: Any) -> str:
    config = trained.model.config
    without = f", without {', '.join(trained.left_out)}" if trained.left_out else ""
    return f"{type(trained.model).__name__}, {config.num_hidden_layers} layers, {config.vocab_size:,} tokens{without}"


def _scores(options: argparse.Namespace) -> dict[str, float]:
    """The figures for the model card."""
    if (options.metrics is None) != (options.dataset is None):
        raise UserError("--metrics and --dataset belong together", remedy="give both or neither")
    if options.metrics is None:
        return {}
    remedy = "give what littlebird-evaluate --json printed"
    try:
        content = json.loads(Path(options.metrics).read_text("utf-8-sig"))
    except ValueError as error:
        raise UserError(f"not JSON ({error})", options.metrics, remedy) from error
    if not isinstance(content, dict) or not all(type(value) in (int, float) for value in content.values()):
        raise UserError("not an object of numbers", options.metrics, remedy)
    return content


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="littlebird-export",
        description="Writes a trained LittleBird model, LED or BigBird-Pegasus for other programs.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    hugging_face = commands.add_parser(
        "hf",
        help="a folder for transformers",
        description="Writes a folder that transformers loads without fairseq: weights, a fast tokenizer, a model card; "
        "LittleBird's code, for trust_remote_code=True. LED and BigBird-Pegasus are classes of transformers itself.",
    )
    _common(hugging_face)
    hugging_face.add_argument(
        "--metrics", metavar="FILE", help="JSON of littlebird-evaluate --json, for the card's model-index"
    )
    hugging_face.add_argument("--dataset", metavar="NAME", help="data set that --metrics is for")
    hugging_face.set_defaults(run=_hugging_face)
    onnx = commands.add_parser(
        "onnx",
        help="an ONNX graph",
        description="Writes model.onnx, for batches and texts of any size, with the tokenizer, and checks it with "
        "onnxruntime.",
    )
    _common(onnx)
    onnx.set_defaults(run=_onnx)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="checkpoint, --save-dir of a training, or folder of littlebird-warm-start",
    )
    parser.add_argument("out", metavar="OUT", help="folder to write")
    parser.add_argument(
        "--tokenizer", metavar="PATH", help="tokenizer file or folder (default: the one in or beside the checkpoint)"
    )
    parser.add_argument(
        "--max-answer-length",
        type=_positive,
        metavar="N",
        help="maximum answer length in tokens, for config.json (default: that of the training)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


if __name__ == "__main__":
    main()
