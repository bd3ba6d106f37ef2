"""The sequences of genomics.py: promoters without overlaps, and a genome with motifs far from its bins.

    python genomics_data.py promoters --input hs_pos_TATA.txt --out DIR
    python genomics_data.py motifs    --input DIR/train.fa     --out DIR

Promoters of which an earlier one has ``OVERLAP`` bases, on either strand, are left out: those of one gene would be in
several splits. ``all.fa`` has the others, ``train.fa``, ``valid.fa`` and ``test.fa`` those of the splits that
littlebird-prepare promoter draws.

The genome is of bases as those of the input follow three others. A label of a bin says that an element is upstream or
downstream of it, ``DISTANCE`` bases from its middle to the element's: ``SITES`` copies of the label's motif, each base
of which is another one with a probability of ``CHANGED``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fairseq_littlebird.data.prepared import SPLITS
from fairseq_littlebird.text.dna.nucleotides import BASES, reverse_complement
from fairseq_littlebird.text.dna.promoters import fingerprint, split_of
from fairseq_littlebird.text.dna.sequences import Sequence, read_sequences

OVERLAP = 32
SHARES = dict(zip(SPLITS, (0.8, 0.1, 0.1), strict=True))
# consensus sequences
MOTIFS = {"CTCF": "TGGCCACCAGGGGGCGCTA", "REST": "TTCAGCACCATGGACAGCGCC"}
DISTANCE, JITTER, SITES, REACH, CHANGED, SHARE = 2000, 50, 6, 150, 0.1, 0.4
BIN, SPACING = 200, 5000


def distinct(sequences: list[Sequence]) -> Iterator[Sequence]:
    """Those that have no ``OVERLAP`` bases of an earlier one, on either strand."""
    seen: set[bytes] = set()
    for sequence in sequences:
        own = {min(part, reverse_complement(part)) for part in _parts(sequence.bases)}
        if not own & seen:
            yield sequence
        seen |= own


def _parts(bases: bytes) -> Iterator[bytes]:
    return (bases[n : n + OVERLAP] for n in range(len(bases) - OVERLAP + 1))


def write_promoters(source: Path, folder: Path, seed: int) -> None:
    every = [*read_sequences(source)]
    kept = [*distinct(every)]
    splits = {name: [s for s in kept if split_of(fingerprint(s.bases, seed), SHARES) == name] for name in SPLITS}
    for name, own in ({"all": kept} | splits).items():
        lines = (f">p{sequence.name}\n{sequence.bases.decode()}\n" for sequence in own)
        (folder / f"{name}.fa").write_text("".join(lines))
    print(f"{len(every):,} promoters, {len(kept):,} without overlaps: { ({n: len(own) for n, own in splits.items()}) }")


def chain(texts: list[bytes]) -> np.ndarray:
    """<float>[64, 4]: how probable each base is after three others, with a count of 1 added."""
    counts = np.ones((64, 4))
    for text in texts:
        codes = np.array([BASES.find(chr(letter)) for letter in text])
        known = (codes[:-3] >= 0) & (codes[1:-2] >= 0) & (codes[2:-1] >= 0) & (codes[3:] >= 0)
        context = codes[:-3] * 16 + codes[1:-2] * 4 + codes[2:-1]
        np.add.at(counts, (context[known], codes[3:][known]), 1)
    return counts / counts.sum(-1, keepdims=True)


def background(probabilities: np.ndarray, count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """int8[count, length]: stretches of such a chain."""
    codes = np.empty((count, length), np.int8)
    codes[:, :3] = rng.integers(4, size=(count, 3))
    ends = probabilities.cumsum(-1)
    context = codes[:, 0] * 16 + codes[:, 1] * 4 + codes[:, 2]
    for place in range(3, length):
        drawn = (rng.random(count)[:, None] > ends[context, :3]).sum(-1)
        codes[:, place] = drawn
        context = context % 16 * 4 + drawn
    return codes


def plant(codes: np.ndarray, motif: str, middle: int, rng: np.random.Generator) -> None:
    """Writes an element around ``middle``, in place: sites that do not touch, each in a part of its own."""
    letters = np.array([BASES.index(letter) for letter in motif])
    part = 2 * REACH // SITES
    for site in range(SITES):
        own = np.where(rng.random(len(letters)) < CHANGED, rng.integers(4, size=len(letters)), letters)
        start = middle - REACH + site * part + int(rng.integers(part - len(letters)))
        codes[start : start + len(letters)] = own


def write_genome(source: Path, folder: Path, counts: dict[str, int], seed: int) -> None:
    """genome.fa, bins.bed, labels.txt and groups.tsv.

    Args:
        source: FASTA.
        folder: to write to.
        counts: bins on each chromosome.
        seed: random seed.
    """
    rng = np.random.default_rng(seed)
    codes = background(chain([s.bases for s in read_sequences(source)]), sum(counts.values()), SPACING, rng)
    labels = rng.random((len(codes), len(MOTIFS))) < SHARE
    for stretch, has in zip(codes, labels, strict=True):
        for motif, side in zip(np.array([*MOTIFS.values()])[has], rng.permutation([-1, 1]), strict=False):
            away = DISTANCE + int(rng.integers(-JITTER, JITTER + 1))
            plant(stretch, motif, SPACING // 2 + int(side) * away, rng)
    letters = np.frombuffer(BASES.encode(), np.uint8)
    number, regions = 0, []
    with (folder / "genome.fa").open("w") as file:
        for name, count in counts.items():
            file.write(f">{name}\n")
            for n in range(count):
                file.write(letters[codes[number]].tobytes().decode() + "\n")
                start = n * SPACING + SPACING // 2 - BIN // 2
                regions.append(f"{name}\t{start}\t{start + BIN}\n")
                number += 1
    (folder / "bins.bed").write_text("".join(regions))
    rows = ("\t".join(map(str, row)) + "\n" for row in labels.astype(int).tolist())
    (folder / "labels.txt").write_text("\t".join(MOTIFS) + "\n" + "".join(rows))
    (folder / "groups.tsv").write_text("label\tgroup\n" + "".join(f"{name}\t{name}\n" for name in MOTIFS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("promoters", "motifs"))
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bins", type=int, nargs=3, default=[1600, 100, 400], help="train, valid, test (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.what == "promoters":
        write_promoters(options.input, options.out, options.seed)
        return
    train, valid, test = options.bins
    write_genome(options.input, options.out, {"chr1": train, "chr7": valid, "chr8": test}, options.seed)


if __name__ == "__main__":
    main()
