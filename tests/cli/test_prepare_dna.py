"""From FASTA to vocabularies and folders, by the commands that a user types."""

from __future__ import annotations

import gzip
import json
import re
import sys

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDataset, MMapIndexedDatasetBuilder
from helpers.dna import random_bases, text_tokenizer, write_fasta

from fairseq_littlebird.cli.prepare import main
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.data.streamed_items import StreamedItems
from fairseq_littlebird.text.dna.fasta import FastaReader
from fairseq_littlebird.text.dna.nucleotides import reverse_complement
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


def test_streamed_items_are_fairseqs_own_files(tmp_path, monkeypatch):
    monkeypatch.setattr("fairseq_littlebird.data.streamed_items._PART", 8)
    rng = np.random.default_rng(0)
    items = [rng.integers(0, 60_000, size=size) for size in (3, 0, 1, 7, 2, 2)]
    for dtype in (np.uint16, np.int32, np.int64):
        theirs = MMapIndexedDatasetBuilder(str(tmp_path / "theirs.bin"), dtype)
        with StreamedItems(tmp_path / "ours", dtype) as ours:
            for item in items:
                ours.add(item)
                theirs.add_item(torch.from_numpy(item))
        theirs.finalize(str(tmp_path / "theirs.idx"))
        for end in ("bin", "idx"):
            assert (tmp_path / f"ours.{end}").read_bytes() == (tmp_path / f"theirs.{end}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


def prepare(genome, tokenizer, folder, *options):
    common = ["--fasta", genome, "--tokenizer", tokenizer, "--dict", tokenizer / "dict.txt", "--destdir", folder]
    run("dna", *common, *options)
    return folder


def documents_of(folder, split):
    """(chromosome, start, strand, bases of each sentence) of each document, from the files."""
    symbols = Dictionary.load(str(folder / "dict.txt"))
    items, places = MMapIndexedDataset(str(folder / split)), MappedItems(folder / f"{split}.places")
    names = json.loads((folder / "prepared.json").read_text())["chromosomes"]
    sentences, found = [], []
    for n in range(len(items)):
        tokens = items[n].tolist()
        assert tokens.pop() == symbols.eos()
        if tokens:
            sentences.append("".join(symbols[token] for token in tokens).encode())
            continue
        number, start, strand, *bases = places[len(found)].tolist()
        assert bases == [*map(len, sentences)]
        found.append((names[number], start, strand, sentences))
        sentences = []
    assert not sentences and len(found) == len(places)
    return found


OPTIONS = "--passes 3 --sentences 5 10 --valid-share 0.2 --valid-block 5000 --latest-start 400".split()


@pytest.fixture(scope="module")
def whole(genome):
    records = {}
    for piece in FastaReader(genome):
        records[piece.name] = records.get(piece.name, b"") + piece.bases
    return records


def test_the_folder_holds_the_genome(genome, whole, tokenizer, tmp_path, capsys):
    folder = prepare(genome, tokenizer, tmp_path / "dna", *OPTIONS, "--reverse-complement")
    printed = capsys.readouterr().out
    assert "read 3 records (1 empty) of 80,500 bases" in printed and "MB of FASTA a second" in printed
    covered = {
        split: {name: np.zeros(len(bases), int) for name, bases in whole.items()} for split in ("train", "valid")
    }
    for split, cover in covered.items():
        found = documents_of(folder, split)
        assert {strand for _, _, strand, _ in found} == {1, -1}
        for name, start, strand, sentences in found:
            bases = b"".join(sentences)
            cover[name][start : start + len(bases)] += 1
            assert whole[name][start : start + len(bases)] == (bases if strand > 0 else reverse_complement(bases))
            assert b"N" not in bases and len(sentences) <= 10 and max(map(len, sentences)) <= 1000
        counts = json.loads((folder / "prepared.json").read_text())["splits"][split]
        assert counts["documents"] == len(found) and counts["bases"] == sum(c.sum() for c in cover.values())
        assert f"{split}: {len(found)} documents" in printed
    for name, bases in whole.items():
        train, valid = covered["train"][name], covered["valid"][name]
        assert not (train * valid).any() and train.max() <= 3 and valid.max() == 1
        gap = np.frombuffer(bases, np.uint8) == ord("N")
        blocks = (train + valid == 0)[~gap].reshape(-1, 100).all(axis=1).sum()
        assert blocks <= 20  # what lies before the passes begin, after a gap only those of blocks


def test_workers_change_nothing_and_seeds_do(genome, tokenizer, tmp_path):
    folders = [
        prepare(genome, tokenizer, tmp_path / name, *OPTIONS, *more)
        for name, more in (("a", ()), ("b", ("--workers", 2)), ("c", ("--seed", 2)))
    ]
    first, second, third = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert first == second and first["train.bin"] != third["train.bin"]
    assert {"train.bin", "train.idx", "train.places.bin", "valid.idx", "dict.txt", "prepared.json"} <= first.keys()


def test_chromosomes_to_validate_on(genome, tokenizer, tmp_path):
    folder = prepare(genome, tokenizer, tmp_path / "dna", "--valid-chromosomes", "2", "--passes", "2")
    assert {name for name, *_ in documents_of(folder, "train")} == {"chr1"}
    assert {name for name, *_ in documents_of(folder, "valid")} == {"chr2"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--valid-chromosomes chr2 chr7", "genome.fa.gz: no base of chr7, to validate on"),
        ("--valid-chromosomes chr1 2", "genome.fa.gz: no document for training"),
        ("--valid-share 0.000001", "genome.fa.gz: no document for validation"),
        ("--valid-share 1", "--valid-share 1.0; give a number from 0"),
        ("--sentences 9 3", "--sentences 9 3; give the lower number first"),
        ("--sentence-bases 9 300000", "sentences of 300,000 bases; give at most"),
    ],
)
def test_options_that_make_no_sense(genome, tokenizer, tmp_path, capsys, options, message):
    common = ["--fasta", genome, "--tokenizer", tokenizer, "--dict", tokenizer / "dict.txt"]
    assert message in fails(capsys, "dna", *common, "--passes", 1, *options.split(), "--destdir", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_of_text_is_refused(genome, tmp_path, capsys):
    text = text_tokenizer(tmp_path)
    own = ["--tokenizer", text, "--dict", text / "dict.txt", "--destdir", tmp_path / "out"]
    line = fails(capsys, "dna", "--fasta", genome, *own)
    assert "sentencepiece.model: this tokenizer does not spell" in line


def test_standard_input_is_read_once(genome, tokenizer, tmp_path, forks):
    command = "import sys; from fairseq_littlebird.cli.prepare import main; sys.stdin = open(sys.argv[1]); "
    script = tmp_path / "run.py"
    script.write_text(command + "main(sys.argv[2:])")
    own = ["--tokenizer", tokenizer, "--dict", tokenizer / "dict.txt", "--destdir", tmp_path / "out", "--passes", 1]

    done = forks.run([sys.executable, script, genome, "dna", "--fasta", "-", *map(str, own)])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "train.bin").stat().st_size > 0
