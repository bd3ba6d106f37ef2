"""littlebird-prepare characters: text for character-level and byte-level language models."""

from __future__ import annotations

import argparse

from fairseq_littlebird.cli.numbers import positive


def add_characters(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "characters",
        help="binarize text for character-level language models",
        description="Writes the folder that --task littlebird_language_modeling and littlebird-score read: a token a "
        "character of the text, line ends among them, or a token a byte. Nothing is normalized or left out. In "
        "dict.txt a space is \u2581, and other white space is written as <U+000A> or <0x0A>.",
    )
    for option, what in (("input", "training text, whose characters make dict.txt"), ("valid", "validation text"),
                         ("test", "test text")):  # fmt: skip
        help = f"{what}: files, plain or compressed, or - for standard input"
        parser.add_argument(f"--{option}", nargs="+", default=[], metavar="FILE", help=help)
    parser.add_argument("--destdir", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--bytes", action="store_true", help="a token a byte, as for enwik8: for text of any kind, without unknown ones"
    )
    parser.add_argument(
        "--dict",
        metavar="FILE",
        help="dict.txt of an earlier call, for text that a model trained on its folder is to read",
    )
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="processes (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    parser.set_defaults(run=_characters)


def _characters(options: argparse.Namespace) -> None:
    from fairseq_littlebird.data.character_preparation import prepare_characters

    summary = prepare_characters(
        {"train": options.input, "valid": options.valid, "test": options.test},
        options.destdir,
        as_bytes=options.bytes,
        dictionary=options.dict,
        workers=options.workers,
        overwrite=options.overwrite,
    )
    for split, count in summary["splits"].items():
        print(f"{split}: {count['characters']:,} characters, {count['bytes']:,} bytes")
    kind = "bytes" if options.bytes else "characters"
    print(f"{options.destdir}: written; {summary['symbols']:,} {kind} in dict.txt")
