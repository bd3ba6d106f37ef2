"""Promoters by the commands that a user types, from files of sequences and from a genome; trained and scored."""

from __future__ import annotations

import json
import re

import pytest
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDataset
from helpers.dna import random_bases, text_tokenizer
from helpers.training import SIZES, TRAINING

from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.text.dna.fasta import FastaReader
from fairseq_littlebird.text.dna.nucleotides import reverse_complement


def run(dna, folder, *options):
    known = ["--tokenizer", dna / "tokenizer", "--dict", dna / "tokenizer" / "dict.txt", "--destdir", folder]
    main([str(word) for word in ("promoter", *known, *options)])
    return folder


def fails(capsys, dna, folder, *options):
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        run(dna, folder, *options)
    output = capsys.readouterr()
    assert stop.value.code == 2 and output.out == "" and "Traceback" not in output.err and not folder.exists()
    return [line for line in output.err.splitlines() if line.startswith("littlebird-prepare: ")][-1]


def texts_of(folder, split):
    """id -> (bases, label), from the files."""
    symbols, items = Dictionary.load(f"{folder}/input0/dict.txt"), MMapIndexedDataset(f"{folder}/input0/{split}")
    ids, labels = MappedItems(folder / "id" / split), MMapIndexedDataset(f"{folder}/label/{split}")
    gold = json.loads((folder / f"{split}.gold.json").read_text())
    names = json.loads((folder / "prepared.json").read_text())["labels"]
    found = {}
    for n in range(len(items)):
        id, label = ids[n].tobytes().decode(), names[int(labels[n][0]) - 4]
        assert gold[id] == label
        found[id] = "".join(symbols[token] for token in items[n][:-1].tolist()), label
    return found


@pytest.fixture(scope="module")
def tata(dna, data_dir, tmp_path_factory):
    """The 2,929 promoters of the data set of Oubounyt et al."""
    folder = tmp_path_factory.mktemp("tata") / "promoters"
    return run(dna, folder, "--positives", data_dir / "genomics" / "hs_pos_TATA.txt")


def test_real_promoters_and_their_negatives(tata, data_dir):
    lines = (data_dir / "genomics" / "hs_pos_TATA.txt").read_text().split()
    assert json.loads((tata / "prepared.json").read_text())["labels"] == ["non-promoter", "promoter"]
    sizes = {}
    everything = {}
    for split in ("train", "valid", "test"):
        found = texts_of(tata, split)
        positives = {id: bases for id, (bases, label) in found.items() if label == "promoter"}
        assert len(found) == 2 * len(positives)
        for id, bases in positives.items():  # the line's number
            assert bases == lines[int(id) - 1]
            other, label = found[f"{id}.negative"]
            assert label == "non-promoter" and len(other) == 300
            same = [bases[n : n + 15] == other[n : n + 15] for n in range(0, 300, 15)]
            assert sum(same) == 8
        sizes[split] = len(positives)
        everything |= positives
    assert len(everything) == sum(sizes.values()) == len({min(b, _turned(b)) for b in lines})
    assert sizes["train"] / len(everything) == pytest.approx(0.8, abs=0.03)


def _turned(bases):
    return reverse_complement(bases.encode()).decode()


def test_repeated_promoters_are_taken_once_and_order_does_not_matter(dna, tmp_path, capsys):
    lines = [random_bases(90, seed) for seed in range(30)]
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("\n".join([*lines, lines[3], _turned(lines[4]), "N" * 90, "n" * 80]))
    other.write_text("\n".join(reversed(lines)))
    shares = ["--shares", "0.5", "0.5", "0"]
    first = run(dna, tmp_path / "a", "--positives", one, *shares)
    printed = capsys.readouterr().out
    assert "2 promoters left out that were there before, on either strand" in printed
    assert "2 promoters left out that have no base but N" in printed
    second = run(dna, tmp_path / "b", "--positives", other, *shares)
    for split in ("train", "valid"):
        assert {*texts_of(first, split).values()} == {*texts_of(second, split).values()}
    assert not (first / "test.gold.json").exists()
    third = run(dna, tmp_path / "c", "--positives", one, *shares, "--seed", 2)
    assert {*texts_of(first, "train").values()} != {*texts_of(third, "train").values()}


def test_a_genome_and_start_sites(dna, tmp_path, capsys):
    genome = {}
    for piece in FastaReader(dna / "genome.fa"):
        genome[piece.name] = (genome.get(piece.name, b"") + piece.bases).decode()
    bed = tmp_path / "x.bed"
    sites = [("1", 30_000 + 600 * n, "+-"[n % 2]) for n in range(20)] + [("chr2", 10, "+")]
    bed.write_text("".join(f"{name}\t{at}\t{at + 20}\tP{n}\t0\t{sign}\n" for n, (name, at, sign) in enumerate(sites)))
    around = ["--genome", dna / "genome.fa", "--upstream", "50", "--downstream", "30", "--shares", "1", "0", "0"]
    folder = run(dna, tmp_path / "out", "--bed", bed, *around)
    printed = capsys.readouterr().out
    assert "1 sequences have N for what lies beyond" in printed and "chromosome 1 of the regions is chr1" in printed
    found = texts_of(folder, "train")
    assert len(found) == 42
    for n, (name, at, sign) in enumerate(sites):
        own = "chr" + name.removeprefix("chr")  # the genome's name, whatever that of the regions
        chromosome = genome[own]
        if sign == "+":
            expected = "N" * max(0, 50 - at) + chromosome[max(0, at - 50) : at + 30]
        else:
            expected = _turned(chromosome[at + 20 - 30 : at + 20 + 50])
        assert found[f"P{n}:{own}:{at}-{at + 20}({sign})"] == (expected, "promoter")
    sizes = {"chr1": 60_000, "chr2": 30_000}
    assert json.loads((folder / "prepared.json").read_text())["genome"] == {
        "site": "start", "before": 50, "after": 30, "chromosomes": sizes
    }  # fmt: skip


def test_both_strands_are_trained_on(dna, tmp_path):
    (tmp_path / "x.txt").write_text("\n".join(random_bases(90, seed) for seed in range(30)))
    folder = run(dna, tmp_path / "out", "--positives", tmp_path / "x.txt", "--reverse-complement")
    train = texts_of(folder, "train")
    own = {id: text for id, text in train.items() if not id.endswith(".reverse")}
    assert len(train) == 2 * len(own) > 40
    for id, (bases, label) in own.items():
        assert train[f"{id}.reverse"] == (_turned(bases), label)
    assert not any(id.endswith(".reverse") for id in texts_of(folder, "test"))


@pytest.mark.parametrize(
    ("bed", "message"),
    [
        ("chr1\t59990\t60001\ta\t0\t+\n", "x.bed, line 1: a region that ends at 60,001, but chr1 has 60,000 bases"),
        ("chr1\t1\t2\ta\t0\t+\nchr9\t1\t2\ta\t0\t+\n", "x.bed, line 2: no chromosome 'chr9' in"),
        ("chr1\t1\t2\ta\n", "x.bed, line 1: no strand"),
    ],
)
def test_bad_regions_are_one_line(dna, tmp_path, capsys, bed, message):
    (tmp_path / "x.bed").write_text(bed)
    options = ["--bed", tmp_path / "x.bed", "--genome", dna / "genome.fa"]
    assert message in fails(capsys, dna, tmp_path / "out", *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--bed x", "--bed and --genome belong together"),
        ("--positives y --replaced 21", "21 of 20 parts replaced"),
        ("--positives y --shares 0.5 0.2 0.2", "--shares 0.5 0.2 0.2; give three shares that sum to 1"),
        ("--positives one.txt --shares 0.5 0.5 0", "no promoter in the split"),
        ("--positives short.txt", "short.txt, line 2: 4 bases, fewer than 20 parts"),
        ("--positives protein.txt", "protein.txt, line 1: .* of the letters are no nucleotides"),
    ],
)
def test_bad_input_is_one_line(dna, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text("ACGT" * 9)
    (tmp_path / "short.txt").write_text("ACGT" * 9 + "\nACGT\n")
    (tmp_path / "protein.txt").write_text("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ\n")
    assert re.search(message, fails(capsys, dna, tmp_path / "out", *options.split()))


def test_a_tokenizer_of_text_is_refused(tmp_path, capsys, dna):
    text = text_tokenizer(tmp_path)
    (tmp_path / "x.txt").write_text("ACGT" * 9)
    own = ["--positives", tmp_path / "x.txt", "--tokenizer", text, "--dict", text / "dict.txt"]
    assert "does not spell" in fails(capsys, dna, tmp_path / "out", *own)


@pytest.mark.slow
def test_trained_predicted_and_scored(tata, fairseq, tmp_path, capsys):
    own = ["--task", "littlebird_sentence_prediction", "--criterion", "littlebird_classification", *SIZES, *TRAINING]
    fairseq("train", tata, *own, "--max-update", 3, "--disable-validation", "--save-dir", tmp_path)
    model, out = f"{tmp_path}/checkpoint_last.pt", f"{tmp_path}/out"
    predict([f"{tata}", "--path", model, "--gen-subset", "test", "--output", out, "--device", "cpu"])
    capsys.readouterr()
    own = ["--gold", f"{tata}/test.gold.json", "--predictions", f"{out}/predictions.json", "--json"]
    evaluate(["--dataset", "classification", *own])
    scores = json.loads(capsys.readouterr().out)
    assert {"f1", "mcc", "sensitivity", "specificity"} <= scores.keys()
