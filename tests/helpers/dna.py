"""Sequences and files of DNA."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

import pytest

from fairseq_littlebird.cli.prepare import main as prepare


def random_bases(length: int, seed: int) -> str:
    """Bases of which some follow others more often, so that there is something to learn."""
    rng = random.Random(seed)
    after = {"A": [5, 1, 1, 1], "C": [1, 1, 5, 1], "G": [1, 1, 1, 5], "T": [1, 5, 1, 1]}
    bases = ["A"]
    while len(bases) < length:
        bases += rng.choices("ACGT", after[bases[-1]])
    return "".join(bases[:length])


def write_fasta(file: TextIO, records: Mapping[str, str], width: int = 60) -> None:
    """A record a name, its bases on lines of ``width``."""
    for name, bases in records.items():
        file.write(f">{name} made up\n")
        file.writelines(f"{bases[start : start + width]}\n" for start in range(0, len(bases), width))


def text_tokenizer(folder: Path) -> Path:
    """The folder of a tokenizer of English."""
    text = folder / "text.txt"
    text.write_text("the cat sat on the mat and the dog ran after a ball\n" * 9)
    options = ["--vocab-size", "22", "--no-byte-fallback", "--destdir", f"{folder}/text"]
    prepare(["tokenizer", "--input", f"{text}", *options])
    return folder / "text"


@pytest.fixture(scope="session")
def dna(once: Callable[..., Path]) -> Path:
    """A folder with ``genome.fa``, ``tokenizer/`` of it, and ``data/``, prepared with both strands and two splits."""

    def make(folder: Path) -> None:
        with (folder / "genome.fa").open("w") as file:
            write_fasta(file, {"chr1": random_bases(60_000, 1), "chr2": random_bases(30_000, 2), "chr3": "ACGT" * 9})
        own = ["--fasta", f"{folder}/genome.fa", "--destdir"]
        prepare(
            ["tokenizer", *own, f"{folder}/tokenizer", "--alphabet", "ACGTN", "--kind", "bpe", "--vocab-size", "200"]
        )
        cut = "--passes 2 --sentences 3 9 --sentence-bases 40 90 --valid-share 0.2 --valid-block 5000".split()
        known = ["--tokenizer", f"{folder}/tokenizer", "--dict", f"{folder}/tokenizer/dict.txt"]
        prepare(["dna", *own, f"{folder}/data", *known, *cut, "--latest-start", "300", "--reverse-complement"])

    return once("dna", make)
