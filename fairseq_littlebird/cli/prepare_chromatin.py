"""``littlebird-prepare chromatin``: sequences with chromatin profiles."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import positive
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.label_groups import read_label_groups
from fairseq_littlebird.text.dna.bins import ChromatinSplit, LabelledBins
from fairseq_littlebird.text.dna.nucleotides import reverse_complement
from fairseq_littlebird.text.dna.one_hot import BASE_ORDER, label_width, read_one_hot
from fairseq_littlebird.text.dna.places import Surroundings
from fairseq_littlebird.text.tokenizers import load_tokenizer

if TYPE_CHECKING:
    from fairseq_littlebird.data.chromatin_preparation import Profile

SPLITS = ("train", "valid", "test")


def add_chromatin(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    split = ChromatinSplit()
    parser = commands.add_parser(
        "chromatin",
        formatter_class=HelpFormatter,
        help="binarize sequences with chromatin profiles",
        description="Writes the folder that --task littlebird_sentence_prediction and littlebird-predict read: a "
        "sequence around each bin of a genome, with all of its labels. Train with --criterion "
        "littlebird_classification --class-weights 8.",
    )
    parser.add_argument("--bed", metavar="FILE", help="bins of a genome")
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="of --bed: a row of 0 and 1 for each bin, text (names of the labels may come first) or .npy",
    )
    parser.add_argument("--genome", metavar="FILE", help="of --bed: FASTA, plain or compressed")
    parser.add_argument(
        "--context", type=positive, default=8000, metavar="N", help="of --bed: bases around the middle of a bin"
    )
    parser.add_argument(
        "--test-chromosomes", nargs="+", default=[*split.test], metavar="NAME", help="of --bed: chromosomes to test on"
    )
    chromosome, first, last = split.valid
    parser.add_argument(
        "--valid-region",
        type=_place,
        default=split.valid,
        metavar="NAME:FIRST-LAST",
        help=f"of --bed: where the bins to validate on lie, from base 1 (default: {chromosome}:{first:,}-{last:,})",
    )
    parser.add_argument(
        "--leave-out", nargs="*", default=[*split.left_out], metavar="NAME", help="of --bed: chromosomes not used"
    )
    for name in SPLITS:
        help = f"{name} arrays instead: .npz with one-hot sequences [N, 4, L] and labels [N, K], as DeepSEA's"
        parser.add_argument(f"--{name}", nargs="+", default=[], metavar="FILE", help=help)
    parser.add_argument(
        "--base-order", type=_base_order, default=BASE_ORDER, metavar="BASES", help="of arrays: the order of the bases"
    )
    parser.add_argument(
        "--groups", metavar="FILE", help="table of the labels with their names, as of littlebird-evaluate"
    )
    parser.add_argument(
        "--reverse-complement", action="store_true", help="train on the opposite strand of each sequence, too"
    )
    parser.add_argument("--tokenizer", required=True, metavar="PATH", help="tokenizer file or folder")
    parser.add_argument("--dict", required=True, metavar="FILE", help="dict.txt of the tokenizer")
    parser.add_argument("--destdir", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--max-tokens",
        type=positive,
        metavar="N",
        help="the most tokens of a sequence, <s> and </s> included; what is longer is cut at its end (default: nothing "
        "is cut)",
    )
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="processes")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    parser.set_defaults(run=_chromatin)


def _chromatin(options: argparse.Namespace) -> None:
    from fairseq_littlebird.data.chromatin_preparation import prepare_chromatin
    from fairseq_littlebird.data.classification_preparation import summary_lines

    arrays = [(split, file) for split in SPLITS for file in getattr(options, split)]
    of_bed = [options.bed, options.labels, options.genome]
    if any(of_bed) == bool(arrays) or (any(of_bed) and not all(of_bed)):
        remedy = "give --bed, --labels and --genome, or some of --train, --valid and --test"
        raise UserError("either bins of a genome or arrays", remedy=remedy)
    names = read_label_groups(options.groups).names if options.groups else ()
    notes: list[str] = []
    genome: dict[str, Any] = {}
    profiles: Iterator[Profile]
    if arrays:
        names = names or _numbers(label_width(arrays[0][1]))
        profiles = _of_arrays(options, arrays, len(names))
    else:
        split = ChromatinSplit(options.test_chromosomes, options.valid_region, options.leave_out)
        bins = LabelledBins(options.bed, options.labels, options.context, split, len(names) or None)
        names = names or bins.names or _numbers(bins.width)
        profiles = _of_genome(options, bins, notes, genome)
    if options.reverse_complement:
        profiles = _both_strands(profiles)
    summaries = prepare_chromatin(
        profiles,
        names,
        load_tokenizer(options.tokenizer, options.dict),
        options.dict,
        options.destdir,
        max_tokens=options.max_tokens,
        workers=options.workers,
        overwrite=options.overwrite,
        genome=genome,
    )
    for split_name, summary in summaries.items():
        print("\n".join(summary_lines(split_name, summary, shown=3)))
        absent = sum(not count for count in summary["labels"].values())
        if absent:
            print(f"{split_name}: {absent:,} of {len(names):,} labels are of no sequence")
    for note in notes:
        print(note)
    places = {"valid": "--valid-region", "test": "--test-chromosomes"}
    for split_name, option in places.items():
        if options.bed and split_name not in summaries:
            print(f"{split_name}: no bin of {options.bed} lies there; {option} says where")
    golds = " and ".join(f"{name}.gold.npy" for name in places if name in summaries)
    print(f"{options.destdir}: written" + (f"; {golds} with a row for each sequence" if golds else ""))


def _of_arrays(options: argparse.Namespace, arrays: Sequence[tuple[str, str]], width: int) -> Iterator[Profile]:
    from fairseq_littlebird.data.chromatin_preparation import Profile

    count = dict.fromkeys(SPLITS, 0)
    for split, file in arrays:
        for bases, labels in read_one_hot(file, width, options.base_order):
            yield Profile(split, str(count[split]), bases, labels)
            count[split] += 1


def _of_genome(
    options: argparse.Namespace, bins: LabelledBins, notes: list[str], genome: dict[str, Any]
) -> Iterator[Profile]:
    """The sequences around the bins; at their end ``notes`` gets what to say of them, and ``genome`` where they lie."""
    from fairseq_littlebird.data.chromatin_preparation import Profile
    from fairseq_littlebird.text.dna.fasta import FastaReader
    from fairseq_littlebird.text.dna.regions import RegionCutter

    cutter = RegionCutter(bins, options.genome)
    for number, chromosome, bases in cutter(FastaReader(options.genome)):
        region = bins[number].region
        id = f"{chromosome}:{region.start}-{region.end}"
        yield Profile(bins.order[bins.splits[number]], id, bases, bins.labels(number))
    before = options.context // 2
    genome |= Surroundings("middle", before, options.context - before, cutter.chromosomes)._asdict()
    if bins.left_out:
        notes.append(f"{bins.left_out:,} bins left out: they lie on {', '.join(options.leave_out)}")
    if cutter.padded:
        notes.append(f"{cutter.padded:,} sequences have N for what lies beyond the end of their chromosome")
    if cutter.note:
        notes.append(cutter.note)


def _both_strands(profiles: Iterator[Profile]) -> Iterator[Profile]:
    for profile in profiles:
        yield profile
        if profile.split == SPLITS[0]:
            yield profile._replace(id=f"{profile.id}(-)", bases=reverse_complement(profile.bases))


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))


def _place(text: str) -> tuple[str, int, int]:
    """``chr7:30508751-35296850`` as a triple."""
    found = re.fullmatch(r"(.+):([\d,]+)-([\d,]+)", text)
    first, last = (int(number.replace(",", "") or 0) for number in found.groups()[1:]) if found else (0, 0)
    if not found or not 1 <= first <= last:
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME:FIRST-LAST, from base 1")
    return found[1], first, last


def _base_order(text: str) -> str:
    if sorted(text) != sorted(BASE_ORDER):
        raise argparse.ArgumentTypeError(f"{text!r}: give A, C, G and T in some order")
    return text
