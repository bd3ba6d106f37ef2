"""littlebird-warm-start: a pretrained model becomes a LittleBird model, its teacher, or one of its peers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import count as _count
from fairseq_littlebird.cli.numbers import positive as _positive
from fairseq_littlebird.conversion.targets import OPTIONS, TARGETS
from fairseq_littlebird.errors import exit_on_user_error


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    # argument parsing and --help should not wait for torch
    from fairseq_littlebird.pipelines.warm_start import WarmStart, write_warm_start

    given = {name: getattr(options, name) for name in OPTIONS if getattr(options, name) is not None}
    plan = WarmStart(
        source=options.source,
        out=options.out,
        to=options.to,
        arch=options.arch,
        layers=options.layers,
        options=given,
        new_tokens=tuple(options.new_tokens),
        html_tags=options.html_tags,
        seed=options.seed,
        overwrite=options.overwrite,
    )
    print(write_warm_start(plan))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="littlebird-warm-start",
        formatter_class=HelpFormatter,
        description="Writes a fairseq checkpoint, dict.txt, the tokenizer's files, model.args for fairseq-train, and a "
        "README.md that says what was mapped, tiled, dropped and initialised.",
    )
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="SOURCE",
        help="fairseq RoBERTa or XLM-R (model.pt or its folder), a Hugging Face folder of BERT, RoBERTa, XLM-R, "
        "ELECTRA, ModernBERT or mmBERT, BigBird or Longformer, also with a question-answering head (but not "
        "ModernBERT's), or a checkpoint of the full-attention encoder or a folder with one; for an encoder–decoder "
        "also BART (Hugging Face or fairseq), LED, Pegasus or BigBird-Pegasus",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--to",
        choices=TARGETS,
        default="littlebird",
        help="the model to write; full: full attention, as the teacher of a distillation; led, bigbird_roberta, "
        "bigbird_pegasus and littlebird_seq2seq are encoder–decoders",
    )
    parser.add_argument(
        "--arch",
        metavar="NAME",
        help="a fairseq architecture, whose sizes must be the source's (default: from the source)",
    )
    parser.add_argument(
        "--pack-size", type=_count, metavar="N", help="pack vectors; 0 for none (default: the architecture's)"
    )
    parser.add_argument(
        "--block-size",
        type=_positive,
        metavar="N",
        help="tokens per block (default: a BigBird source's, the architecture's)",
    )
    parser.add_argument(
        "--random-blocks",
        type=_count,
        metavar="N",
        help="BigBird: random blocks (default: the source's, the architecture's)",
    )
    parser.add_argument(
        "--random-attention",
        choices=("seeded", "first_block"),
        help="BigBird: first_block computes what transformers does outside training (the default of a BigBird source)",
    )
    parser.add_argument(
        "--random-seed", type=_count, metavar="N", help="BigBird: seed of the random blocks (default: 0)"
    )
    parser.add_argument(
        "--global-blocks",
        choices=("first_last", "first_two"),
        help="BigBird: blocks that see, and are seen by, every token (default: first_last)",
    )
    parser.add_argument(
        "--attention-window",
        metavar="N[,N…]",
        help="Longformer: tokens per window, of all layers or of each (default: 512)",
    )
    parser.add_argument(
        "--attention-dilation",
        metavar="N[,N…]",
        help="Longformer: dilation of the windows, of all heads or of each (default: 1)",
    )
    parser.add_argument(
        "--global-tokens", type=_positive, metavar="N", help="BigBird-ETC: global tokens (default: the architecture's)"
    )
    parser.add_argument(
        "--local-radius",
        type=_positive,
        metavar="N",
        help="BigBird-ETC: tokens to each side that a token attends to (default: the architecture's)",
    )
    parser.add_argument(
        "--max-distance",
        type=_positive,
        metavar="N",
        help="BigBird-ETC: largest relative position with its own vector (default: the architecture's)",
    )
    parser.add_argument(
        "--layers",
        type=_positive,
        metavar="N",
        help="how many layers of the source to take, evenly spaced (default: all)",
    )
    parser.add_argument(
        "--positions",
        choices=("bialibi", "learned", "none"),
        help="learned: the source's position embeddings, repeated to --max-positions (default: bialibi)",
    )
    parser.add_argument(
        "--no-window", action="store_true", default=None, help="ablation: attend to the pack vectors alone"
    )
    parser.add_argument(
        "--max-positions",
        type=_positive,
        metavar="N",
        help="learned positions: the source's, repeated (default: as many as the source has; BigBird-ITC and "
        "Longformer: 4096)",
    )
    parser.add_argument(
        "--decoder-max-positions",
        type=_positive,
        metavar="N",
        help="encoder–decoders: learned positions of the decoder: the source's, repeated (default: as many as the "
        "source has)",
    )
    parser.add_argument(
        "--cross-positions",
        choices=("sinusoidal", "none"),
        help="littlebird_seq2seq: positions that cross-attention adds to its keys (default: sinusoidal)",
    )
    parser.add_argument(
        "--add-token",
        dest="new_tokens",
        nargs="+",
        action="extend",
        default=[],
        metavar="TOKEN",
        help="add these tokens to the vocabulary, for programs to put between others: text is never tokenized to them",
    )
    parser.add_argument(
        "--add-word", dest="new_tokens", nargs="+", action="extend", default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--html-tags", action="store_true", help="add tokens for the tags of paragraphs, headings, lists and tables"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="random seed")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    return parser


if __name__ == "__main__":
    main()
