"""From FASTA to vocabularies and folders, by the commands that a user types."""

from __future__ import annotations

import gzip
import re

import pytest
from helpers.dna import random_bases, write_fasta

from fairseq_littlebird.cli.prepare import main
from fairseq_littlebird.text.tokenizers import load_tokenizer


def fails(capsys, *arguments):
    """The one line of a command that must end with status 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    assert stop.value.code == 2 and output.out == "" and "Traceback" not in output.err
    (line,) = [line for line in output.err.splitlines() if line.startswith("littlebird-prepare: ")]
    return line


def run(*arguments):
    main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """Two chromosomes in lower and upper case, a gap within one of them, lines that end in CRLF."""
    path = tmp_path_factory.mktemp("genome") / "genome.fa.gz"
    one = random_bases(60_000, 1)
    chromosomes = {"chr1": one[:30_000].lower() + "N" * 500 + one[30_000:], "chr2": random_bases(20_000, 2), "chr3": ""}
    with gzip.open(path, "wt", newline="\r\n") as file:
        write_fasta(file, chromosomes)
    return path


@pytest.fixture(scope="module")
def tokenizer(genome, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer") / "bpe"
    options = "--alphabet ACGTN --kind bpe --vocab-size 300".split()
    run("tokenizer", "--fasta", genome, *options, "--destdir", folder)
    return folder


def test_a_vocabulary_of_dna(genome, tokenizer, tmp_path, capsys):
    assert sorted(path.name for path in tokenizer.iterdir()) == ["dict.txt", "sentencepiece.model"]
    symbols = [line.split(" ")[0] for line in (tokenizer / "dict.txt").read_text().splitlines()]
    assert symbols[-1] == "[QUESTION]" and set("".join(symbols[:-1])) == set("ACGTN") and len(symbols) == 300 - 3 + 1
    run("tokenizer", "--fasta", genome, "--vocab-size", 300, "--destdir", tmp_path / "again")  # bpe of ACGTN, too
    printed = capsys.readouterr().out
    assert "trained on 80,000 of 80,500 bases" in printed
    average = float(re.search(r"([\d.]+) base pairs a token", printed)[1])
    assert 3 < average < 5 and (tmp_path / "again" / "dict.txt").read_text() == (tokenizer / "dict.txt").read_text()
    assert load_tokenizer(tokenizer).tokenize("N") == ["N"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (">p\nMKTAYIAKQRQISFVKSHFSRQLEE\n", "", "x.fa, line 2: .* of the letters of p are no nucleotides"),
        ("ACGT\n", "", "x.fa, line 1: not FASTA"),
        (">a\nNNNNNNNNNNNNNNNNNNNNNNNNNN\n", "", "x.fa: nothing but N in it"),
        (">a\nACGTACGT\n", "", "x.fa: SentencePiece cannot train"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, capsys, content, options, message):
    path = tmp_path / "x.fa"
    path.write_text(content)
    line = fails(capsys, "tokenizer", "--fasta", path, *options.split(), "--destdir", tmp_path / "out")
    assert re.search(message, line) and not (tmp_path / "out").exists()


def test_an_alphabet_needs_dna(tmp_path, capsys):
    line = fails(capsys, "tokenizer", "--input", "x", "--alphabet", "ACGTN", "--destdir", tmp_path / "out")
    assert "--alphabet without --fasta" in line
