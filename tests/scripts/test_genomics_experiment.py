"""The experiment on DNA: its sequences, what it is measured against, and its tables."""

from __future__ import annotations

import importlib
import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.dna import random_bases

from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.text.dna.nucleotides import reverse_complement

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "experiments"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def names_in(path: Path) -> set[str]:
    return {line[1:] for line in path.read_text().split() if line.startswith(">")}


def test_promoters_do_not_overlap_and_are_split_as_prepared(module: Any, dna: Path, tmp_path: Path) -> None:
    lines = [random_bases(90, seed) for seed in range(40)]
    # the ends of the first two, on either strand
    lines += [random_bases(50, 50) + lines[0][:40], reverse_complement(lines[1][-40:].encode()).decode() + "ACGT" * 9]
    (tmp_path / "x.txt").write_text("\n".join(lines))
    (tmp_path / "out").mkdir()
    module("genomics_data").write_promoters(tmp_path / "x.txt", tmp_path / "out", 1)
    assert names_in(tmp_path / "out" / "all.fa") == {f"p{n + 1}" for n in range(40)}
    own = ["--tokenizer", f"{dna}/tokenizer", "--dict", f"{dna}/tokenizer/dict.txt"]
    prepare(["promoter", *own, "--positives", f"{tmp_path}/out/all.fa", "--destdir", f"{tmp_path}/prepared"])
    for split in ("train", "valid", "test"):
        gold = json.loads((tmp_path / "prepared" / f"{split}.gold.json").read_text())
        assert names_in(tmp_path / "out" / f"{split}.fa") == {id for id in gold if not id.endswith(".negative")}


def test_motifs_lie_far_from_the_middle(module: Any, tmp_path: Path) -> None:
    data = module("genomics_data")
    (tmp_path / "x.fa").write_text(f">a\n{random_bases(900, 1)}\n")
    data.write_genome(tmp_path / "x.fa", tmp_path, {"chr1": 30, "chr8": 10}, 1)
    genome: dict[str, str] = {}
    for line in (tmp_path / "genome.fa").read_text().split():
        if line.startswith(">"):
            name = line[1:]
        else:
            genome[name] = genome.get(name, "") + line
    header, *rows = [line.split() for line in (tmp_path / "labels.txt").read_text().splitlines()]
    bins = [line.split() for line in (tmp_path / "bins.bed").read_text().splitlines()]
    assert header == [*data.MOTIFS] and len(rows) == len(bins) == 40
    near = {"0": [], "1": []}
    for (name, start, end), row in zip(bins, rows, strict=True):
        middle = (int(start) + int(end)) // 2
        around = genome[name][middle - 2500 : middle + 2500]
        for motif, has in zip(data.MOTIFS.values(), row, strict=True):
            places = [n - 2500 for n in range(len(around)) if alike(around[n : n + len(motif)], motif)]
            near[has].append(len(places))
            assert all(1700 <= abs(place) < 2250 for place in places)
    assert np.mean(near["1"]) > 4 and np.mean(near["0"]) == 0


def alike(text: str, motif: str) -> bool:
    return len(text) == len(motif) and sum(a != b for a, b in zip(text, motif, strict=True)) <= len(motif) // 4


def test_markov_models(module: Any, tmp_path: Path) -> None:
    """Of order 0 against shares, and of a chain that some order knows and a shorter one does not."""
    baselines = module("genomics_baselines")
    rng = random.Random(0)
    (tmp_path / "a.fa").write_text(">a\n" + "".join(rng.choices("ACGT", [5, 1, 1, 1], k=4000)) + "\n")
    (tmp_path / "b.fa").write_text(">b\n" + "A" * 500 + "C" * 100 + "G" * 100 + "T" * 100 + "\n")
    found = baselines.markov(tmp_path / "a.fa", tmp_path / "b.fa")
    count = Counter((tmp_path / "a.fa").read_text().split()[1])
    expected = -sum(n / 8 * math.log2(count[base] / 4000) for base, n in (("A", 5), ("C", 1), ("G", 1), ("T", 1)))
    assert found["order 0"]["one strand"] == pytest.approx(expected, abs=2e-3)
    text = "".join(rng.choice(["ACGGT", "CATTA"]) for _ in range(900))
    (tmp_path / "c.fa").write_text(f">c\n{text}\n")
    found = baselines.markov(tmp_path / "c.fa", tmp_path / "c.fa")
    assert found["order 5"]["one strand"] == pytest.approx(0.2, abs=0.05)
    assert found["order 1"]["one strand"] > 0.5
    # only the first base of five is unknown to those before it, and the next ones give it away
    assert found["both sides 2"]["one strand"] < 0.1


def test_kmers(module: Any) -> None:
    pytest.importorskip("scipy")
    baselines = module("genomics_baselines")
    counts = baselines.kmer_counts(["ACACG", "TTTTT"], k=2).toarray()
    shares = counts / counts.sum(1, keepdims=True)
    assert shares[0, 0 * 4 + 1] == pytest.approx(0.5) and shares[0, 1 * 4 + 2] == pytest.approx(0.25)
    assert shares[1, 15] == 1 and counts.shape == (2, 16)


def test_report(module: Any) -> None:
    scores = {"f1": 0.951, "mcc": 0.9, "sensitivity": 0.94, "specificity": 0.96}
    results = {
        "markov": {"order 3": {"one strand": 1.951, "both strands": 1.95}},
        "bits/littlebird": {"bits_per_base": 1.9, "nsp_accuracy": 60.0},
        "promoters/littlebird-nothing-1": scores,
        "minutes/promoters/littlebird-nothing-1": 3.4,
        "motifs/full-512": {"CTCF": 0.5, "REST": 0.51},
    }
    lines = module("genomics").report(results).splitlines()
    assert "| Markov, order 3 | 1.951 | 1.950 |" in lines and "| littlebird, masked | 1.900 |  |" in lines
    assert "| littlebird-nothing-1 | 95.1 | 90.0 | 94.0 | 96.0 | 3.4 |" in lines
    assert "| full-512 bases | CTCF 0.500, REST 0.510 |  |" in lines


def test_sizes_at_small_scale(module: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scale = module("genomics_scale")
    options = type("Options", (), {"out": tmp_path, "bases": 24 * 6000, "rows": 40, "labels": 7, "batch": 16})
    scale.genome(options)
    text = (tmp_path / "genome.fa").read_text()
    assert text.count(">chr") == 24 and len(text.split()[1]) == 60 and set(text) >= set("ACGTacgtN")
    scale.predict(options)
    assert np.load(tmp_path / "predicted" / "probabilities.npy").min() > 0
    assert np.load(tmp_path / "gold.npy").shape == (40, 7) and "| 40 | 7 |" in capsys.readouterr().out
