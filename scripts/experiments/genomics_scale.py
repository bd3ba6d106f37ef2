"""Speed and memory of DNA at full size: a genome of 3 gigabases, and the 455,024 test sequences of DeepSEA.

    python genomics_scale.py genome  --out DIR [--bases 3000000000]   genome.fa, 24 chromosomes of random bases
    python genomics_scale.py prepare --out DIR [--passes 1]           a vocabulary and the documents of genome.fa
    python genomics_scale.py predict --out DIR [--rows 455024]        probabilities.npy, as littlebird-predict does
    python genomics_scale.py score   --out DIR                        their areas, by littlebird-evaluate

``predict`` has no model: random numbers come in batches whose rows are in random order, and so does ``gold.npy``, of
which 2 % are 1. All but ``genome`` print a Markdown table; memory is the proportional set size, sampled twice a second
(see data_size.py), or the highest that the process held.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from data_size import highest, report

from fairseq_littlebird.inference.prediction_files import write_probabilities
from fairseq_littlebird.text.row_array import RowArray

CHROMOSOMES, WIDTH, GAP = 24, 60, 10_000
BLOCK = 1 << 20
"""Lines written at once."""


def genome(options: argparse.Namespace) -> None:
    """Chromosomes of equal length, each with runs of N at both ends, a part in lower case."""
    rng, letters = np.random.default_rng(1), np.frombuffer(b"ACGTacgt", np.uint8)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "genome.fa").open("wb") as file:
        for number in range(1, CHROMOSOMES + 1):
            file.write(f">chr{number}\n".encode())
            left = options.bases // CHROMOSOMES // WIDTH
            unknown = np.full((GAP // WIDTH, WIDTH), ord("N"), np.uint8)
            file.write(_lines(unknown))
            while left > 0:
                count = min(left, BLOCK)
                codes = rng.integers(4, size=(count, WIDTH), dtype=np.uint8)
                codes[rng.random(count) < 0.5] += 4
                file.write(_lines(letters[codes]))
                left -= count
            file.write(_lines(unknown))


def _lines(rows: np.ndarray) -> bytes:
    return np.pad(rows, ((0, 0), (0, 1)), constant_values=ord("\n")).tobytes()


def prepare(options: argparse.Namespace) -> None:
    out, fasta = options.out, options.out / "genome.fa"
    known = f"--tokenizer {out}/tokenizer --dict {out}/tokenizer/dict.txt"
    report(
        f"littlebird-prepare tokenizer --fasta {fasta} --alphabet ACGTN --kind bpe --vocab-size {options.vocab_size} "
        f"--sample-bases 5000000 --destdir {out}/tokenizer"
    )
    report(
        f"littlebird-prepare dna --fasta {fasta} {known} --passes {options.passes} --workers {options.workers} "
        f"--destdir {out}/dna --overwrite"
    )


def predict(options: argparse.Namespace) -> None:
    began = time.perf_counter()
    count = write_probabilities(options.out / "predicted", _batches(options), options.labels, overwrite=True)
    seconds, peak = time.perf_counter() - began, highest()
    print("| rows | labels | s | peak MiB |\n|---|---|---|---|")
    print(f"| {count:,} | {options.labels} | {seconds:.1f} | {peak:,.0f} |")
    rng = np.random.default_rng(2)
    with RowArray(options.out / "gold.npy", options.labels, np.uint8) as rows:
        for _ in range(options.rows):
            rows.add(rng.random(options.labels) < 0.02)


def _batches(options: argparse.Namespace) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    order = rng.permutation(options.rows)
    for start in range(0, options.rows, options.batch):
        indices = order[start : start + options.batch]
        yield indices, rng.random((len(indices), options.labels))


def score(options: argparse.Namespace) -> None:
    report(
        f"littlebird-evaluate --dataset chromatin --gold {options.out}/gold.npy "
        f"--predictions {options.out}/predicted/probabilities.npy"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("genome", "prepare", "predict", "score"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bases", type=int, default=3_000_000_000, help="of the genome (%(default)s)")
    parser.add_argument("--vocab-size", type=int, default=32_000, help="(%(default)s)")
    parser.add_argument("--passes", type=int, default=1, help="over each chromosome (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--rows", type=int, default=455_024, help="(%(default)s)")
    parser.add_argument("--labels", type=int, default=919, help="(%(default)s)")
    parser.add_argument("--batch", type=int, default=256, help="rows of a batch (%(default)s)")
    options = parser.parse_args()
    options.out = options.out.resolve()
    {"genome": genome, "prepare": prepare, "predict": predict, "score": score}[options.what](options)


if __name__ == "__main__":
    main()
