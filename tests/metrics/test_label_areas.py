"""Areas under the curves of many labels: scikit-learn's, a plain count of pairs, and DeepSEA's published figures."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.label_groups import read_label_groups
from fairseq_littlebird.metrics import classification
from fairseq_littlebird.metrics.label_areas import areas_of, by_group, label_areas

SCORES = st.floats(-2, 2, width=32) | st.sampled_from([0.0, -0.0, 0.25, 0.5])


@given(st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=30), st.booleans())
def test_areas_are_what_counting_pairs_gives(pairs, positive_only):
    pairs = [(abs(score) if positive_only else score, label) for score, label in pairs]
    scores, labels = (np.array(column) for column in zip(*pairs, strict=True))
    area, precision = areas_of(scores.astype(np.float32), labels.astype(bool))
    expected = classification.auroc(pairs)
    if expected is None:
        assert math.isnan(area) and math.isnan(precision)
        return
    assert area == pytest.approx(expected, abs=1e-12)
    total, reached, by_hand = labels.sum(), 0, 0.0
    for threshold in sorted({*scores.tolist()}, reverse=True):
        above = [label for score, label in pairs if score >= threshold]
        by_hand += (sum(above) - reached) / total * sum(above) / len(above)
        reached = sum(above)
    assert precision == pytest.approx(by_hand, abs=1e-12)


def test_areas_are_scikit_learns():
    oracle = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    for scores in (rng.random(5000), rng.normal(size=5000), rng.integers(0, 9, 5000) / 8):
        labels = rng.random(5000) < 0.03
        area, precision = areas_of(scores.astype(np.float32), labels)
        assert area == pytest.approx(oracle.roc_auc_score(labels, scores.astype(np.float32)), abs=1e-12)
        assert precision == pytest.approx(oracle.average_precision_score(labels, scores.astype(np.float32)), abs=1e-12)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(1)
    scores, gold = rng.random((400, 7), dtype=np.float32), rng.random((400, 7)) < 0.1
    gold[:, 3], gold[:, 5] = False, True
    np.save(tmp_path / "gold.npy", gold)
    np.save(tmp_path / "scores.npy", scores)
    (tmp_path / "labels.tsv").write_text("label\tgroup\n" + "".join(f"l{n}\t{'ab'[n % 2]}\n" for n in range(7)))
    return tmp_path, scores, gold


def test_files_in_parts_of_any_size(files, monkeypatch):
    folder, scores, gold = files
    expected = [areas_of(scores[:, n], gold[:, n]) for n in range(7)]
    for memory, chunk in ((1, 100), (5000, 1 << 24), (1 << 28, 333)):
        monkeypatch.setattr("fairseq_littlebird.metrics.label_areas._CHUNK", chunk)
        found = label_areas(folder / "gold.npy", folder / "scores.npy", memory)
        assert found.positives.tolist() == gold.sum(0).tolist()
        np.testing.assert_array_equal(np.stack([found.auroc, found.auprc], 1), expected)
    assert np.isnan(found.auroc).tolist() == [n in (3, 5) for n in range(7)]


def test_the_command_reports_groups_and_what_is_undefined(files, capsys):
    folder, scores, gold = files
    own = ["--dataset", "chromatin", "--gold", f"{folder}/gold.npy", "--groups", f"{folder}/labels.tsv"]
    evaluate([*own, "--predictions", f"{folder}/scores.npy", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["examples"] == 400 and list(found["groups"]) == ["a", "b"]
    group = found["groups"]["b"]
    assert (group["labels"], group["undefined"]) == (3, 2)
    assert group["auroc_median"] == group["auroc_mean"] == areas_of(scores[:, 1], gold[:, 1])[0]
    own[-1:] = [f"{folder}/labels.tsv", "--predictions", f"{folder}/scores.npy"]
    evaluate(own)
    assert re.search(r"\nb +3 +2 +0\.\d{4}", capsys.readouterr().out)
    evaluate(own[:4])
    assert "400 examples" in capsys.readouterr().out
    evaluate([*own[:4], "--predictions", f"{folder}/scores.npy"])
    assert re.search(r"\nall +7 +2 ", capsys.readouterr().out)


def test_deepseas_published_medians(data_dir):
    """95.8 for transcription factors, 85.6 for histone marks, 92.3 for DNase, as in BigBird's paper."""
    labels = read_label_groups(data_dir / "genomics" / "deepsea_metadata.tsv")
    numbers = [row["AUC"].replace(",", ".") for row in labels.rows]
    areas = [float(number) if re.fullmatch(r"[\d.]+", number) else math.nan for number in numbers]
    assert len(set(labels.names)) == 919
    groups = by_group(labels.groups, areas)
    assert {name: one.labels for name, one in groups.items()} == {"DHS": 125, "TF": 690, "HM": 104}
    medians = {name: 100 * one.median for name, one in groups.items()}
    print(medians)
    assert medians == pytest.approx({"TF": 95.8, "HM": 85.6, "DHS": 92.3}, abs=0.07)
    assert {name: one.undefined for name, one in groups.items()} == {"DHS": 0, "TF": 1, "HM": 0}
    means = {name: one.mean for name, one in groups.items()}
    assert means == pytest.approx({"TF": 0.9478, "HM": 0.8522, "DHS": 0.9155}, abs=5e-5)


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        evaluate(["--dataset", "chromatin", *map(str, arguments)])
    line = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and "\n" not in line
    return line


def test_bad_files_are_one_line(files, capsys):
    folder, scores, gold = files
    good = ["--gold", folder / "gold.npy", "--predictions"]
    np.save(folder / "narrow.npy", scores[:, :5])
    assert "narrow.npy: 400 by 5 predictions for 400 by 7 labels in" in fails(capsys, *good, folder / "narrow.npy")
    np.save(folder / "flat.npy", scores[0])
    assert "flat.npy: numbers of the shape (7,)" in fails(capsys, *good, folder / "flat.npy")
    (folder / "text.npy").write_text("not an array")
    assert "text.npy: not an .npy file" in fails(capsys, *good, folder / "text.npy")
    (folder / "cut.npy").write_bytes((folder / "scores.npy").read_bytes()[:-1])
    assert "cut.npy: truncated" in fails(capsys, *good, folder / "cut.npy")
    scores[7, 6] = np.nan
    np.save(folder / "nan.npy", scores)
    assert "nan.npy, example 7, label 6: a score that is not a finite" in fails(capsys, *good, folder / "nan.npy")
    for other in (gold * 2, gold * 256, gold * 0.7, np.where(gold, 1.0, np.nan)):  # 256 is 0 in eight bits
        np.save(folder / "two.npy", other)
        line = fails(capsys, "--gold", folder / "two.npy", *good[2:], folder / "scores.npy")
        assert "two.npy: expected 0 and 1" in line
    (folder / "few.tsv").write_text("group\na\n")
    line = fails(capsys, *good, folder / "scores.npy", "--groups", folder / "few.tsv")
    assert "few.tsv: 1 labels, but 7 in" in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\tkind\na\tb\n", "x.tsv, line 1: no column 'group' or"),
        ("label\tgroup\na\tTF\nb\n", "x.tsv, line 3: 1 columns instead of 2"),
        ("label\tgroup\na\t\n", "x.tsv, line 2: no group"),
        ("group\n", "x.tsv: no label in it"),
    ],
)
def test_bad_tables_are_named_with_their_line(tmp_path, text, message):
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_label_groups(tmp_path / "x.tsv")
    with pytest.raises(UserError, match="--groups with --dataset squad"):
        evaluate.__wrapped__(["--dataset", "squad", "--gold", "x", "--groups", "y"])
