"""``littlebird-prepare promoter``: promoters, and negatives made of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import count, positive
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inputs import check_rereadable
from fairseq_littlebird.text.dna.places import Surroundings
from fairseq_littlebird.text.dna.promoters import PARTS, REPLACED, around_start
from fairseq_littlebird.text.dna.sequences import Sequence
from fairseq_littlebird.text.tokenizers import load_tokenizer


def add_promoter(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "promoter",
        formatter_class=HelpFormatter,
        help="binarize promoters and negatives made of them",
        description="Writes the folder that --task littlebird_sentence_prediction and littlebird-predict read, with "
        "the labels non-promoter and promoter. The negative of a promoter is the promoter with most of its parts "
        "replaced by random bases (Oubounyt et al., 2019), in the same split.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--positives", metavar="FILE", help="promoters: FASTA, or a sequence on each line, plain or compressed"
    )
    source.add_argument(
        "--bed", metavar="FILE", help="start sites: the first base of each region in the direction of its strand"
    )
    parser.add_argument("--genome", metavar="FILE", help="of --bed: FASTA, plain or compressed")
    parser.add_argument("--upstream", type=count, default=5000, metavar="N", help="of --bed: bases before the site")
    parser.add_argument(
        "--downstream", type=positive, default=3000, metavar="N", help="of --bed: bases from the site on"
    )
    parser.add_argument("--tokenizer", required=True, metavar="PATH", help="tokenizer file or folder")
    parser.add_argument("--dict", required=True, metavar="FILE", help="dict.txt of the tokenizer")
    parser.add_argument("--destdir", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--shares",
        nargs=3,
        type=float,
        default=[0.8, 0.1, 0.1],
        metavar=("TRAIN", "VALID", "TEST"),
        help="shares of the promoters in the splits",
    )
    parser.add_argument("--parts", type=positive, default=PARTS, metavar="N", help="parts of a promoter")
    parser.add_argument("--replaced", type=positive, default=REPLACED, metavar="N", help="parts that are replaced")
    parser.add_argument(
        "--max-tokens",
        type=positive,
        metavar="N",
        help="the most tokens of a sequence, <s> and </s> included; what is longer is cut at its end (default: nothing "
        "is cut)",
    )
    parser.add_argument(
        "--reverse-complement", action="store_true", help="train on the opposite strand of each sequence, too"
    )
    parser.add_argument("--seed", type=count, default=1, metavar="N", help="of splits and negatives")
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="processes")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    parser.set_defaults(run=_promoter)


def _promoter(options: argparse.Namespace) -> None:
    from fairseq_littlebird.data.classification_preparation import summary_lines
    from fairseq_littlebird.data.prepared import SPLITS
    from fairseq_littlebird.data.promoter_preparation import prepare_promoters

    if bool(options.bed) != bool(options.genome):
        raise UserError("--bed and --genome belong together", remedy="give both or neither")
    if options.replaced > options.parts:
        raise UserError(f"{options.replaced} of {options.parts} parts replaced", remedy="give a smaller --replaced")
    if min(options.shares) < 0 or abs(sum(options.shares) - 1) > 1e-6:
        told = " ".join(f"{share:g}" for share in options.shares)
        raise UserError(f"--shares {told}", remedy="give three shares that sum to 1, such as 0.8 0.1 0.1")
    notes: list[str] = []
    genome: dict[str, Any] = {}
    summary = prepare_promoters(
        _from_genome(options, notes, genome) if options.bed else _from_file(options),
        load_tokenizer(options.tokenizer, options.dict),
        options.dict,
        options.destdir,
        shares=dict(zip(SPLITS, options.shares, strict=True)),
        parts=options.parts,
        replaced=options.replaced,
        seed=options.seed,
        max_tokens=options.max_tokens,
        both_strands=options.reverse_complement,
        workers=options.workers,
        overwrite=options.overwrite,
        genome=genome,
    )
    for split, of_split in summary["splits"].items():
        print("\n".join(summary_lines(split, of_split)))
    if summary["repeated"]:
        print(f"{summary['repeated']:,} promoters left out that were there before, on either strand")
    if summary["unknown"]:
        print(f"{summary['unknown']:,} promoters left out that have no base but N")
    for note in notes:
        print(note)
    print(f"{options.destdir}: written; SPLIT.gold.json has the labels by id, prepared.json their numbers")


def _from_file(options: argparse.Namespace) -> Iterator[Sequence]:
    from fairseq_littlebird.text.dna.sequences import read_sequences

    check_rereadable(options.positives)
    return read_sequences(options.positives)


def _from_genome(options: argparse.Namespace, notes: list[str], genome: dict[str, Any]) -> Iterator[Sequence]:
    """The sequences around the start sites; at their end ``notes`` gets what to say of them, and ``genome`` where they
    lie."""
    from fairseq_littlebird.text.dna.bed import read_bed
    from fairseq_littlebird.text.dna.fasta import FastaReader
    from fairseq_littlebird.text.dna.regions import RegionCutter

    cuts = [
        around_start(region, options.upstream, options.downstream) for region in read_bed(options.bed, stranded=True)
    ]
    cutter = RegionCutter(cuts, options.genome)
    for number, chromosome, bases in cutter(FastaReader(options.genome)):
        region = cuts[number].region
        sign = "+" if region.strand > 0 else "-"
        place = f"{chromosome}:{region.start}-{region.end}({sign})"
        yield Sequence(f"{region.name}:{place}" if region.name else place, bases, region.where)
    genome |= Surroundings("start", options.upstream, options.downstream, cutter.chromosomes)._asdict()
    if cutter.padded:
        notes.append(f"{cutter.padded:,} sequences have N for what lies beyond the end of their chromosome")
    if cutter.note:
        notes.append(cutter.note)
