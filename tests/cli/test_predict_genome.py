"""Classifiers of DNA by littlebird-predict: both strands, and files that genome browsers open."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.dna import random_bases, text_tokenizer, write_fasta
from helpers.training import SIZES, TRAINING

from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.pipelines.classification import classified
from fairseq_littlebird.pipelines.loading import load_trained
from fairseq_littlebird.pipelines.text_attribution import gradients
from fairseq_littlebird.text.dna.nucleotides import reverse_complement
from fairseq_littlebird.text.dna.vocabulary import base_counts
from fairseq_littlebird.text.tokenizers import load_tokenizer

LENGTHS = {"chr9": 900, "chr10": 700, "chr1": 800}
GENOME = {name: random_bases(length, length) for name, length in LENGTHS.items()}
LABELS = ["CTCF", "DNase", "H3K4me3"]
# start sites on both strands: overlapping ones, and one at the chromosome's end
SITES = [("9", 100, "+"), ("9", 120, "-"), ("chr9", 870, "+"), ("10", 300, "-"), ("1", 500, "+"), ("1", 60, "-")]


@pytest.fixture(scope="module", params=["chromatin", "promoter"])
def trained(request, dna, fairseq, tmp_path_factory):
    """A prepared folder, and a checkpoint of a training of it."""
    folder = tmp_path_factory.mktemp(request.param)
    with (folder / "genome.fa").open("w") as file:
        write_fasta(file, GENOME)
    known = ["--tokenizer", dna / "tokenizer", "--dict", dna / "tokenizer" / "dict.txt", "--destdir", folder / "data"]
    known += ["--bed", folder / "x.bed", "--genome", folder / "genome.fa"]
    if request.param == "chromatin":
        bins = [(name, start) for name, length in LENGTHS.items() for start in range(0, length - 39, 40)]
        (folder / "x.bed").write_text("".join(f"{name[3:]}\t{start}\t{start + 40}\n" for name, start in bins))
        rows = "".join(f"{n % 2} {n // 2 % 2} {n % 3 // 2}\n" for n in range(len(bins)))
        (folder / "labels.txt").write_text(" ".join(LABELS) + "\n" + rows)
        own = ["--labels", folder / "labels.txt", "--context", 120, "--test-chromosomes", "9", "10"]
        prepare(["chromatin", *map(str, [*known, *own])])
    else:
        lines = (f"{name}\t{at}\t{at + 20}\tP{n}\t0\t{sign}\n" for n, (name, at, sign) in enumerate(SITES))
        (folder / "x.bed").write_text("".join(lines))
        own = ["--upstream", 60, "--downstream", 40, "--shares", "0.4", "0", "0.6", "--seed", 3]
        prepare(["promoter", *map(str, [*known, *own])])
    task = ["--task", "littlebird_sentence_prediction", "--criterion", "littlebird_classification"]
    more = ["--max-update", 3, "--lr", "0.02", "--disable-validation", "--save-dir", folder / "model"]
    fairseq("train", folder / "data", *task, *SIZES, *TRAINING, *more)
    return request.param, folder / "data", folder / "model" / "checkpoint_last.pt"


def run(trained, out, *options):
    """The predictions of the test split, id -> probability by label."""
    _, data, checkpoint = trained
    words = [data, "--path", checkpoint, "--output", out, "--device", "cpu", *options]
    predict([str(word) for word in words])
    records = json.loads((out / "predictions.json").read_text())
    return {id: record["probabilities"] for id, record in records.items()}


def sequence_of(kind, id):
    """Start, end and strand of a test sequence; and its bases, N beyond the ends."""
    name, start, end, sign = re.fullmatch(r"(?:P\d:)?(\w+):(\d+)-(\d+)(?:\(([+-])\))?", id).groups()
    start, end = int(start), int(end)
    if kind == "chromatin":
        start, end = (start + end) // 2 - 60, (start + end) // 2 + 60
    elif sign == "+":
        start, end = start - 60, start + 40
    else:
        start, end = end - 40, end + 60
    bases = ("N" * 100 + GENOME[name] + "N" * 100)[100 + start : 100 + end]
    return name, start, end, sign, bases if sign != "-" else reverse_complement(bases.encode()).decode()


def lines_of(path):
    """Sorted as by LC_ALL=C sort -k1,1 -k2,2n, within the chromosomes of the genome."""
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    rows = [(row[0], int(row[1]), int(row[2]), *row[3:]) for row in rows]
    assert rows == sorted(rows, key=lambda row: row[:2]) and rows
    assert all(0 <= start < end <= LENGTHS[name] for name, start, end, *_ in rows)
    return rows


def test_both_strands_are_averaged(trained, tmp_path):
    """As texts in memory have it that are averaged by hand; so do two models."""
    kind, data, checkpoint = trained
    one = run(trained, tmp_path / "one")
    both = run(trained, tmp_path / "both", "--reverse-complement", "--num-workers", 1, "--max-tokens", 60)
    model, task = load_trained(checkpoint, data, "cpu")
    tokenizer = load_tokenizer(data / "input0", data / "input0" / "dict.txt")
    ids = [id for id in one if not id.endswith(".negative")]
    bases = [sequence_of(kind, id)[-1] for id in ids]
    turned = [reverse_complement(text.encode()).decode() for text in bases]
    forward, backward = (classified(model, task, tokenizer, texts, None, 10**6) for texts in (bases, turned))
    assert len(ids) > 2
    for id, first, second in zip(ids, forward, backward, strict=True):
        assert one[id] == pytest.approx(first.probabilities, abs=1e-5)
        mean = {label: (first.probabilities[label] + second.probabilities[label]) / 2 for label in one[id]}
        assert both[id] == pytest.approx(mean, abs=1e-5)
    assert max(abs(one[id][label] - both[id][label]) for id in ids for label in one[id]) > 1e-4
    twice = run((kind, data, f"{checkpoint}:{checkpoint}"), tmp_path / "twice", "--reverse-complement")
    assert all(twice[id] == pytest.approx(both[id], abs=1e-5) for id in both)


def test_bed_and_bedgraph(trained, tmp_path):
    kind, _, _ = trained
    files = ["--bed", tmp_path / "x.bed", "--bedgraph", tmp_path / "x.bedGraph", "--threshold", "0.45"]
    found = run(trained, tmp_path / "out", *files)
    expected = set()
    for id, scores in found.items():
        if id.endswith(".negative"):
            continue
        prefix, name, start, end, sign = re.fullmatch(r"(P\d:)?(\w+):(\d+)-(\d+)(?:\(([+-])\))?", id).groups()
        best = max(scores, key=scores.__getitem__)
        for label, score in scores.items():
            if score >= 0.45 if kind == "chromatin" else label == best:
                place = name, int(start), int(end)
                expected.add((*place, (prefix or "") + label, str(round(1000 * score)), sign or "."))
    assert {*lines_of(tmp_path / "x.bed")} == expected
    text = (tmp_path / "x.bedGraph").read_text()
    tracks = text.split('track type=bedGraph name="')
    assert len(tracks) == (4 if kind == "chromatin" else 1)
    one = run(trained, tmp_path / "two", "--bedgraph", tmp_path / "y", *(["--label", "DNase"] * (kind == "chromatin")))
    assert one == found and (tmp_path / "y").read_text() == tracks[2 * (kind == "chromatin")].removeprefix('DNase"\n')
    means = {}
    for id, scores in found.items():
        if not id.endswith(".negative"):
            name, start, end = re.fullmatch(r"(?:P\d:)?(\w+):(\d+)-(\d+).*", id).groups()
            for base in range(int(start), int(end)):
                means.setdefault((name, base), []).append(scores["DNase" if kind == "chromatin" else "promoter"])
    written = {(name, base): float(p) for name, low, high, p in lines_of(tmp_path / "y") for base in range(low, high)}
    assert written == pytest.approx({base: np.mean(own) for base, own in means.items()}, rel=1e-4)


def test_an_array_has_the_same(trained, tmp_path):
    _, data, checkpoint = trained
    found = run(trained, tmp_path / "out", "--bed", tmp_path / "a.bed", "--reverse-complement")
    words = [data, "--path", checkpoint, "--output", tmp_path / "array", "--device", "cpu", "--array"]
    predict([str(word) for word in (*words, "--bed", tmp_path / "b.bed", "--reverse-complement", "--max-tokens", 50)])
    array = np.load(tmp_path / "array" / "probabilities.npy")
    np.testing.assert_allclose(array, [[*own.values()] for own in found.values()], atol=1e-6)
    assert (tmp_path / "a.bed").read_text() == (tmp_path / "b.bed").read_text()


def test_attribution_of_bases(trained, tmp_path):
    """The sum over a token's bases is its gradient × embedding; where sequences overlap, their mean is written."""
    kind, data, checkpoint = trained
    label = "CTCF" if kind == "chromatin" else "promoter"
    found = run(trained, tmp_path / "out", "--attribution", tmp_path / "x.bedGraph", "--label", label)
    model, task = load_trained(checkpoint, data, "cpu")
    dataset, counts = task.load_dataset("test"), base_counts(task.source_dictionary.symbols)
    expected = {}
    for index, id in enumerate(found):
        if id.endswith(".negative"):
            continue
        net_input = dataset.collater([dataset[index]])["net_input"]
        _, embeddings, gradient = gradients(model, task, net_input, task.labels.index(label))
        weights = (embeddings * gradient).sum(-1).flatten().tolist()
        name, start, end, sign, _ = sequence_of(kind, id)
        tokens = net_input["src_tokens"][0].tolist()
        values = [w / counts[t] for w, t in zip(weights, tokens, strict=True) for _ in range(counts[t])]
        assert len(values) == end - start
        for base, value in zip(range(start, end), values[:: -1 if sign == "-" else 1], strict=True):
            if 0 <= base < LENGTHS[name]:
                expected.setdefault((name, base), []).append(value)
    rows = lines_of(tmp_path / "x.bedGraph")
    written = {(name, base): float(v) for name, low, high, v in rows for base in range(low, high)}
    assert written == pytest.approx({base: np.mean(own) for base, own in expected.items()}, rel=1e-3, abs=1e-7)
    assert len(rows) > 20


def test_bad_options_are_one_line(trained, tmp_path, capsys, monkeypatch):
    kind, data, checkpoint = trained
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("mine")
    cases = {
        "--bed there": "there: the output file exists; move it away or add --overwrite",
        "--bedgraph x --label CTCX": "--label: no label 'CTCX'; choose of ",
        "--bed x --html": "--html with --reverse-complement, --bed, --bedgraph or --attribution; leave one of them out",
        "--attribution x --reverse-complement": "--attribution: an attribution of several models or of both strands",
        **({"--attribution x": "--attribution: an attribution is of one label"} if kind == "chromatin" else {}),
    }
    for options, message in cases.items():
        _one_line(capsys, [data, "--path", checkpoint, "--output", "out", *options.split()], message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]


def _one_line(capsys, words, message):
    with pytest.raises(SystemExit) as stop:
        predict([*map(str, words), "--device", "cpu"])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("littlebird-predict: ")]
    assert stop.value.code == 2 and len(lines) == 1 and message in lines[0], lines


@pytest.mark.parametrize("trained", ["promoter"], indirect=True)
def test_sequences_without_coordinates(trained, dna, tmp_path, capsys):
    """Of files of sequences those have some that are named by them, as bedtools does."""
    _, _, checkpoint = trained
    known = ["--tokenizer", f"{dna}/tokenizer", "--dict", f"{dna}/tokenizer/dict.txt", "--shares", "0", "0", "1"]
    named = {f"q{n}::chr9:{50 * n}-{50 * n + 80}({'+-'[n % 2]})": random_bases(80, n) for n in range(4)}
    for folder, names in (("with", [*named]), ("without", [f"q{n}" for n in range(4)])):
        with (tmp_path / f"{folder}.fa").open("w") as file:
            for name, bases in zip(names, named.values(), strict=True):
                file.write(f">{name}\n{bases}\n")
        own = ["--positives", f"{tmp_path}/{folder}.fa", "--destdir", f"{tmp_path}/{folder}"]
        prepare(["promoter", *known, *own])
    where = ["--bed", tmp_path / "x.bed", "--attribution", tmp_path / "x.bedGraph"]
    run(("promoter", tmp_path / "with", checkpoint), tmp_path / "out", *where)
    assert [row[:3] for row in lines_of(tmp_path / "x.bed")] == [("chr9", 50 * n, 50 * n + 80) for n in range(4)]
    assert lines_of(tmp_path / "x.bedGraph")[-1][2] == 230
    words = [tmp_path / "without", "--path", checkpoint, "--output", tmp_path / "no", "--bed", tmp_path / "y"]
    path = tmp_path / "without" / "id" / "test"
    _one_line(capsys, words, f'{path}: "q0" has no genome coordinates; prepare it from regions of a genome')
    assert not (tmp_path / "no").exists() and not (tmp_path / "y").exists()


def test_no_dna(fairseq, tiny, tmp_path, capsys):
    """Texts have no other strand."""
    text = text_tokenizer(tmp_path)
    lines = [json.dumps({"text": "the cat sat on the mat", "label": "ab"[n % 2]}) + "\n" for n in range(6)]
    Path(tmp_path / "x.jsonl").write_text("".join(lines))
    own = ["--train", f"{tmp_path}/x.jsonl", "--tokenizer", f"{text}", "--dict", f"{text}/dict.txt"]
    prepare(["classification", *own, "--destdir", f"{tmp_path}/data"])
    task = ["--task", "littlebird_sentence_prediction", "--criterion", "littlebird_classification"]
    more = ["--max-update", 1, "--disable-validation", "--save-dir", tmp_path / "model"]
    fairseq("train", tmp_path / "data", *task, *SIZES, *TRAINING, *more)
    words = [tmp_path / "data", "--path", tmp_path / "model" / "checkpoint_last.pt", "--gen-subset", "train"]
    _one_line(capsys, [*words, "--output", tmp_path / "out", "--reverse-complement"], "this tokenizer does not spell")
