"""``littlebird-prepare dna``: a genome to pretrain on."""

from __future__ import annotations

import argparse

from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import count, positive
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.gaps import SHORTEST_GAP
from fairseq_littlebird.text.tokenizers import load_tokenizer


def add_dna(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "dna",
        formatter_class=HelpFormatter,
        help="binarize a genome for pretraining",
        description="Writes the folder that --task dna_pretraining reads: several passes over each chromosome, cut "
        "into documents of sentences. The tasks of masked language modelling read it, too.",
    )
    parser.add_argument("--fasta", required=True, metavar="FILE", help="genome, plain or compressed, or -")
    parser.add_argument("--tokenizer", required=True, metavar="PATH", help="tokenizer file or folder")
    parser.add_argument("--dict", required=True, metavar="FILE", help="dict.txt of the tokenizer")
    parser.add_argument("--destdir", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--valid-chromosomes", nargs="+", default=[], metavar="NAME", help="chromosomes to validate on, whole"
    )
    parser.add_argument(
        "--valid-share", type=float, default=0.0, metavar="X", help="share of the others to validate on, as blocks"
    )
    parser.add_argument(
        "--valid-block", type=positive, default=1_000_000, metavar="N", help="bases of a block of --valid-share"
    )
    parser.add_argument("--passes", type=positive, default=10, metavar="N", help="passes over each chromosome")
    parser.add_argument(
        "--latest-start", type=count, default=5000, metavar="N", help="a pass begins at a base drawn from 0 to N"
    )
    parser.add_argument(
        "--sentences", nargs=2, type=positive, default=[50, 100], metavar=("LOW", "HIGH"), help="of a document"
    )
    parser.add_argument(
        "--sentence-bases", nargs=2, type=positive, default=[500, 1000], metavar=("LOW", "HIGH"), help="of a sentence"
    )
    parser.add_argument(
        "--gap",
        type=positive,
        default=SHORTEST_GAP,
        metavar="N",
        help="runs of at least so many N are left out, and end documents",
    )
    parser.add_argument(
        "--reverse-complement", action="store_true", help="write half of the documents as the opposite strand"
    )
    parser.add_argument("--seed", type=count, default=1, metavar="N", help="random seed")
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="processes")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    parser.set_defaults(run=_dna)


def _dna(options: argparse.Namespace) -> None:
    from fairseq_littlebird.data.dna_preparation import LONGEST_SENTENCE, prepare_dna, summary_lines
    from fairseq_littlebird.text.dna.documents import Cutting
    from fairseq_littlebird.text.dna.splits import GenomeSplit

    for option, (low, high) in (("--sentences", options.sentences), ("--sentence-bases", options.sentence_bases)):
        if low > high:
            raise UserError(f"{option} {low} {high}", remedy="give the lower number first")
    if options.sentence_bases[1] > LONGEST_SENTENCE:
        raise UserError(f"sentences of {options.sentence_bases[1]:,} bases", remedy=f"give at most {LONGEST_SENTENCE}")
    if not 0 <= options.valid_share < 1:
        raise UserError(f"--valid-share {options.valid_share}", remedy="give a number from 0 to below 1")
    split = None
    if options.valid_chromosomes or options.valid_share:
        split = GenomeSplit(options.valid_chromosomes, options.valid_share, options.valid_block, options.seed)
    summary = prepare_dna(
        options.fasta,
        load_tokenizer(options.tokenizer, options.dict),
        options.dict,
        options.destdir,
        cutting=Cutting(
            passes=options.passes,
            latest_start=options.latest_start,
            min_sentences=options.sentences[0],
            max_sentences=options.sentences[1],
            min_bases=options.sentence_bases[0],
            max_bases=options.sentence_bases[1],
            reverse_complement=options.reverse_complement,
            seed=options.seed,
        ),
        split=split,
        gap=options.gap,
        workers=options.workers,
        overwrite=options.overwrite,
    )
    print("\n".join(summary_lines(summary)))
    print(f"{options.destdir}: written")
