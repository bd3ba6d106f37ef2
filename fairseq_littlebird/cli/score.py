"""littlebird-score: bits per token, per character and per byte of a text under a language model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import count, positive
from fairseq_littlebird.cli.user_dir import add_user_dir, import_user_dir
from fairseq_littlebird.errors import UserError, exit_on_user_error


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    import_user_dir(arguments)
    options = _parser().parse_args(arguments)
    if options.stride > options.length:
        what = f"--stride {options.stride} is over --length {options.length}: tokens between two windows would never"
        raise UserError(f"{what} be scored", remedy="give a stride from 1 to the length")
    # argument parsing and --help should not wait for fairseq
    from fairseq_littlebird.pipelines.language_model import load_language_model, text_tokenizer
    from fairseq_littlebird.pipelines.scoring import score_split

    model, task = load_language_model(options.path, options.data, options.device, options.precision)
    score = score_split(
        model,
        task,
        options.gen_subset,
        length=options.length,
        stride=options.stride,
        cached=options.cached,
        max_tokens=options.max_tokens,
        workers=options.num_workers,
        tokenizer=text_tokenizer(options.data, options.path, options.tokenizer),
    )
    if options.json:
        print(json.dumps({"split": options.gen_subset} | score.figures()))
    else:
        print("\n".join(score_lines(options.gen_subset, score)))


def score_lines(split: str, score: Any) -> list[str]:
    """A score for people to read."""
    size, tokens = score.size, f"{split}: {score.tokens:,} tokens"
    if size.characters is None:
        lines = [f"{tokens}; characters and bytes are not known without the text's tokenizer (--tokenizer)"]
    else:
        lines = [f"{tokens}, {size.characters:,} characters, {size.bytes:,} bytes"]
    if size.unknown:
        lines.append(f"{size.unknown:,} tokens are <unk>, whose characters are not counted")
    counts = {"token": score.tokens, "character": size.characters, "byte": size.bytes}
    lines += [f"bits per {unit:<10}{score.per(n):.4f}" for unit, n in counts.items() if n]
    lines.append(f"perplexity         {2 ** score.per(score.tokens):.2f} per token")
    windows = f"windows of {score.length:,} tokens and a stride of {score.stride:,}"
    field = "all the text before" if score.receptive_field is None else f"{score.receptive_field:,} tokens before"
    if score.cached:
        lines.append("read once from beginning to end (--cached)")
        more = f"{score.shortened:,} tokens saw more context than {windows} would show them"
        context = more if score.shortened else f"{windows} would show every token the same context"
    else:
        times = f"{score.computed / score.tokens:,.1f} times the text"
        lines.append(f"read in {score.windows:,} {windows}: {score.computed:,} tokens, {times}")
        fewer = f"{score.shortened:,} tokens saw less context than the model can use"
        context = fewer if score.shortened else "every token saw all the context that the model can use"
    return [*lines, f"{context} ({field} each)"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="littlebird-score",
        description="Scores a text under a causal language model. It is read in windows of --length tokens, --stride "
        "tokens from one to the next: of the first all tokens are scored, of the others the last --stride, so that "
        "every token is scored once. With --cached it is read once, which is the same wherever a window has as many "
        "tokens before those that are scored as the model can see.",
        formatter_class=HelpFormatter,
    )
    help = "folder of littlebird-prepare characters, or of fairseq-preprocess --only-source"
    parser.add_argument("data", metavar="DATA", help=help)
    parser.add_argument(
        "--path",
        required=True,
        metavar="CHECKPOINT",
        help="checkpoint of --task littlebird_language_modeling or language_modeling, or the --save-dir of a training",
    )
    add_user_dir(parser)
    parser.add_argument(
        "--gen-subset", "--split", dest="gen_subset", default="test", metavar="SPLIT", help="split to score"
    )
    parser.add_argument("--length", type=positive, default=32256, metavar="N", help="tokens of a window")
    parser.add_argument("--stride", type=positive, default=512, metavar="N", help="tokens from window to window")
    parser.add_argument(
        "--cached",
        action="store_true",
        help="read the text once from its beginning to its end, keeping the keys that the model's windows need",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--tokenizer",
        metavar="PATH",
        help="tokenizer file or folder, for bits per character and byte (default: that of DATA or of the checkpoint)",
    )
    help = "tokens per batch of windows, or with --cached per chunk"
    parser.add_argument("--max-tokens", type=positive, default=32768, metavar="N", help=help)
    parser.add_argument("--num-workers", type=count, default=0, metavar="N", help="data loading processes")
    parser.add_argument("--device", help="cpu, cuda, cuda:N, … (default: the accelerator if there is one)")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "float16", "int8"),
        default="float32",
        help="precision of the model; probabilities are float32. int8 quantizes the weights, on CPUs only",
    )
    return parser


if __name__ == "__main__":
    main()
