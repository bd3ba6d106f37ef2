"""Chromatin profiles by the commands that a user types: bins of a genome and DeepSEA's arrays, trained and scored."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDataset
from helpers.dna import random_bases, write_fasta
from helpers.training import SIZES, TRAINING

from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.text.dna.nucleotides import reverse_complement

LENGTHS = {"chr1": 5000, "chr7": 6000, "chr8": 4000, "chrX": 2000, "chr9": 1500}
GENOME = {name: random_bases(length, length) for name, length in LENGTHS.items()}
K = 12


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A genome, bins of 200 bases in another order than its chromosomes, named with and without chr, and labels."""
    folder = tmp_path_factory.mktemp("chromatin")
    with (folder / "genome.fa").open("w") as file:
        write_fasta(file, GENOME)
    rng = np.random.default_rng(0)
    bins = [(name, start) for name, length in LENGTHS.items() for start in range(0, length - 199, 200)]
    bins = [bins[n] for n in rng.permutation(len(bins))]
    labels = (rng.random((len(bins), K)) < 0.2).astype(np.uint8)
    labels[:, 7] = 0
    write_bed(folder / "bins.bed", bins)
    write_table(folder / "labels.txt", labels, header=True)
    np.save(folder / "labels.npy", labels)
    (folder / "groups.tsv").write_text(
        "label\tgroup\n" + "".join(f"L{n}\t{'TF HM'.split()[n % 2]}\n" for n in range(K))
    )
    return folder, bins, labels


def write_bed(path, bins):
    path.write_text("".join(f"{name[3 * (start % 400 == 0) :]}\t{start}\t{start + 200}\n" for name, start in bins))


def write_table(path, labels, header=False):
    rows = ["\t".join(f"L{n}" for n in range(labels.shape[1]))] if header else []
    path.write_text("\n".join([*rows, *("\t".join(map(str, row)) for row in labels.tolist())]) + "\n")


def run(dna, folder, *options):
    known = ["--tokenizer", dna / "tokenizer", "--dict", dna / "tokenizer" / "dict.txt", "--destdir", folder]
    main([str(word) for word in ("chromatin", *known, *options)])
    return folder


def of_bins(folder, *options):
    where = ["--bed", folder / "bins.bed", "--genome", folder / "genome.fa", "--context", 600]
    return [*where, "--valid-region", "chr7:2,001-4000", *options]


def fails(capsys, dna, folder, *options):
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        run(dna, folder, *options)
    output = capsys.readouterr()
    assert stop.value.code == 2 and output.out == "" and "Traceback" not in output.err and not folder.exists()
    return [line for line in output.err.splitlines() if line.startswith("littlebird-prepare")][-1]


def texts_of(folder, split):
    """id -> (bases, label numbers), in the order of the files."""
    symbols, items = Dictionary.load(f"{folder}/input0/dict.txt"), MMapIndexedDataset(f"{folder}/input0/{split}")
    ids, labels = MappedItems(folder / "id" / split), MMapIndexedDataset(f"{folder}/label/{split}")
    return {
        ids[n].tobytes().decode(): (
            "".join(symbols[token] for token in items[n][:-1].tolist()),
            [number - symbols.nspecial for number in labels[n][:-1].tolist()],
        )
        for n in range(len(items))
    }


def expected_of(bins, labels):
    """split -> id -> (bases, label numbers)."""
    found = {"train": {}, "valid": {}, "test": {}}
    for (name, start), row in zip(bins, labels, strict=True):
        padded = "N" * 600 + GENOME[name] + "N" * 600
        bases = padded[600 + start + 100 - 300 :][:600]
        split = "test" if name in ("chr8", "chr9") else "train"
        split = "valid" if name == "chr7" and start >= 2000 and start + 200 <= 4000 else split
        if name != "chrX":
            found[split][f"{name}:{start}-{start + 200}"] = bases, np.flatnonzero(row).tolist()
    return found


@pytest.mark.parametrize("table", ["labels.txt", "labels.npy"])
def test_bins_of_a_genome(dna, inputs, tmp_path, capsys, table):
    folder, bins, labels = inputs
    out = run(dna, tmp_path / "out", *of_bins(folder, "--labels", folder / table, "--workers", 2))
    printed = capsys.readouterr().out
    assert (
        "10 bins left out" in printed and "sequences have N for what" in printed and " of the regions is chr" in printed
    )
    settings = json.loads((out / "prepared.json").read_text())
    names = [f"L{n}" for n in range(K)] if table == "labels.txt" else [f"{n}" for n in range(K)]
    assert settings["labels"] == names and settings["problem_type"] == "multi_label"
    for split, wanted in expected_of(bins, labels).items():
        found = texts_of(out, split)
        assert found == wanted  # with the genome's names
        assert settings["splits"][split]["texts"] == len(wanted) > 9
        if split != "train":
            gold = np.load(out / f"{split}.gold.npy")
            assert [np.flatnonzero(row).tolist() for row in gold] == [own for _, own in found.values()]
            assert gold.shape == (len(wanted), K) and gold.dtype == np.uint8
    assert not (out / "train.gold.npy").exists() and "of 12 labels are of no sequence" in printed
    assert "written; valid.gold.npy and test.gold.npy with a row" in printed and "no bin" not in printed


def test_a_split_without_a_bin_is_told(dna, inputs, tmp_path, capsys):
    folder, _, _ = inputs
    run(dna, tmp_path / "out", *of_bins(folder, "--labels", folder / "labels.txt", "--test-chromosomes", "chr77"))
    printed = capsys.readouterr().out
    assert f"test: no bin of {folder}/bins.bed lies there; --test-chromosomes says where" in printed
    assert "written; valid.gold.npy with a row" in printed and not (tmp_path / "out" / "test.gold.npy").exists()


def test_both_strands_are_trained_on(dna, inputs, tmp_path):
    folder, bins, labels = inputs
    out = run(dna, tmp_path / "out", *of_bins(folder, "--labels", folder / "labels.npy", "--reverse-complement"))
    expected = expected_of(bins, labels)
    train = texts_of(out, "train")
    assert len(train) == 2 * len(expected["train"]) and len(texts_of(out, "test")) == len(expected["test"])
    for id, (bases, own) in train.items():
        if not id.endswith("(-)"):
            assert train[f"{id}(-)"] == (reverse_complement(bases.encode()).decode(), own)


def one_hot(bases, order="AGCT"):
    return np.array([[letter == base for letter in bases] for base in order], np.uint8)


@pytest.mark.parametrize("transposed", [False, True])
def test_deepseas_arrays(dna, tmp_path, transposed, monkeypatch):
    monkeypatch.setattr("fairseq_littlebird.text.dna.one_hot._ROWS", 3)
    rng = np.random.default_rng(0)
    own = {}
    for split, count in (("train", 7), ("valid", 2), ("test", 4)):
        texts = [random_bases(50, count * 100 + n)[:49] + "N" for n in range(count)]
        x = np.stack([one_hot(text) for text in texts])
        y = (rng.random((count, K)) < 0.3).astype(np.uint8)
        np.savez_compressed(
            tmp_path / split, **{f"{split}xdata": x.transpose(0, 2, 1) if transposed else x, f"{split}data": y}
        )
        own[split] = [(text, np.flatnonzero(row).tolist()) for text, row in zip(texts, y, strict=True)]
    arrays = [word for split in own for word in (f"--{split}", tmp_path / f"{split}.npz")]
    out = run(dna, tmp_path / "out", *arrays)
    for split, wanted in own.items():
        assert texts_of(out, split) == {f"{n}": text for n, text in enumerate(wanted)}
    swapped = run(dna, tmp_path / "swapped", *arrays[4:], "--base-order", "TGCA")
    turned = texts_of(swapped, "test")["0"][0]
    assert turned == own["test"][0][0].translate(str.maketrans("AT", "TA"))


def test_bad_input_is_one_line(dna, inputs, tmp_path, capsys):
    folder, bins, labels = inputs
    out = tmp_path / "out"

    def line(*options):
        return fails(capsys, dna, out, *options)

    assert "either bins of a genome or arrays; give --bed, --labels" in line("--bed", "x")
    assert "either bins of a genome or arrays" in line()
    write_table(tmp_path / "short.txt", labels[:5])
    assert "short.txt: fewer bins than in" in line(*of_bins(folder, "--labels", tmp_path / "short.txt"))
    (tmp_path / "odd.txt").write_text("0 1 0\n0 1\n")
    assert "odd.txt, line 2: 2 labels instead of 3" in line(*of_bins(folder, "--labels", tmp_path / "odd.txt"))
    (tmp_path / "odd.txt").write_text("0 1 0\n0 x 1\n")
    assert "odd.txt, line 2: expected 0 or 1" in line(*of_bins(folder, "--labels", tmp_path / "odd.txt"))
    (tmp_path / "few.tsv").write_text("group\na\nb\n")
    own = ["--labels", folder / "labels.npy", "--groups", tmp_path / "few.tsv"]
    assert "labels.npy: 12 labels instead of 2; give as many as there are names" in line(*of_bins(folder, *own))
    (tmp_path / "bad.npy").write_text("x")
    assert "bad.npy: not a readable .npy file" in line(*of_bins(folder, "--labels", tmp_path / "bad.npy"))
    (tmp_path / "bad.npz").write_text("x")
    assert "bad.npz: not a readable .npz file" in line("--train", tmp_path / "bad.npz")
    np.savez_compressed(tmp_path / "cut.npz", x=np.eye(4)[np.arange(400).reshape(4, 100) % 7 % 4], y=np.ones((4, 3)))
    content = bytearray((tmp_path / "cut.npz").read_bytes())
    content[110:130] = bytes(20)
    (tmp_path / "cut.npz").write_bytes(content)
    assert "cut.npz: not a readable .npz file" in line("--train", tmp_path / "cut.npz")
    np.savez(tmp_path / "one.npz", y=labels)
    assert re.search(r"one.npz: it holds y \(\d+, 12\); save two arrays", line("--train", tmp_path / "one.npz"))
    np.savez(tmp_path / "half.npz", x=np.full((2, 4, 5), 0.5), y=np.ones((2, 3)))
    assert "half.npz, rows from 0: expected 0 and 1 alone" in line("--train", tmp_path / "half.npz")
    write_bed(tmp_path / "bins.bed", [("chr8", 3900)] * len(bins))
    (tmp_path / "genome.fa").write_text((folder / "genome.fa").read_text())
    message = line(*of_bins(tmp_path, "--labels", folder / "labels.npy"))
    assert "bins.bed, line 1: a region that ends at 4,100, but chr8 has 4,000 bases" in message
    message = line(*of_bins(folder, "--labels", folder / "labels.npy", "--valid-region", "chr7"))
    assert "give NAME:FIRST-LAST" in message


@pytest.mark.slow
def test_trained_with_a_positive_weight_predicted_and_scored(dna, inputs, fairseq, tmp_path, capsys):
    folder, _, _ = inputs
    data = run(
        dna, tmp_path / "data", *of_bins(folder, "--labels", folder / "labels.npy", "--groups", folder / "groups.tsv")
    )
    own = ["--task", "littlebird_sentence_prediction", "--criterion", "littlebird_classification", *SIZES, *TRAINING]
    fairseq("train", data, *own, "--class-weights", 8, "--max-update", 2, "--save-dir", tmp_path / "model")
    model = ["--path", f"{tmp_path}/model/checkpoint_last.pt", "--gen-subset", "test", "--device", "cpu"]
    predict([f"{data}", *model, "--output", f"{tmp_path}/json"])
    predict([f"{data}", *model, "--output", f"{tmp_path}/array", "--array"])
    array = np.load(tmp_path / "array" / "probabilities.npy")
    records = json.loads((tmp_path / "json" / "predictions.json").read_text())
    expected = [[*record["probabilities"].values()] for record in records.values()]
    np.testing.assert_allclose(array, expected, rtol=1e-6)
    assert [*records] == [*texts_of(data, "test")] and array.dtype == np.float32
    capsys.readouterr()
    own = ["--gold", f"{data}/test.gold.npy", "--predictions", f"{tmp_path}/array/probabilities.npy"]
    evaluate(["--dataset", "chromatin", *own, "--groups", f"{folder}/groups.tsv", "--json"])
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert groups.keys() == {"TF", "HM"} and groups["HM"]["undefined"] == 1
