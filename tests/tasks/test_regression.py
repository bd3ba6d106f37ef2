"""Regression on pairs of texts as a user runs it: GLUE's STS-B, prepared, trained, predicted, scored and exported."""

from __future__ import annotations

import json
import random

import pytest
import torch
from helpers.classification import CLASSIFICATION, exported, exported_graph, train

from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.pipelines.littlebird import LittleBird


@pytest.fixture(scope="module")
def regression(fairseq, tiny, tmp_path_factory):
    """A folder of STS-B's form, pairs whose score is how many words they share, and a checkpoint."""
    rng, folder = random.Random(3), tmp_path_factory.mktemp("regression")
    words = "night train clock tower river port old harbour salt mine paper mill".split()
    for name, count in (("train", 200), ("dev", 30), ("test", 12)):
        lines = []
        for n in range(count):
            first = rng.sample(words, 5)
            shared = rng.randint(0, 5)
            second = first[:shared] + rng.sample([word for word in words if word not in first], 5 - shared)
            cells = [n, "main", "x", "2012", n, "none", "none", " ".join(first), " ".join(second)]
            lines.append("\t".join(map(str, cells + ([f"{shared}.0"] if name != "test" else []))) + "\n")
        (folder / f"{name}.tsv").write_text("".join(lines))
    own = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt", "--destdir", f"{folder}/data"]
    prepare(["classification", "--format", "glue", "--name", "STS-B", "--glue-dir", f"{folder}", *own])
    metric = ["--best-checkpoint-metric", "spearman", "--maximize-best-checkpoint-metric"]
    done = train(fairseq, folder / "data", folder / "model", *CLASSIFICATION, *metric, updates=12)
    return folder, done


def test_regression(regression, logged, tmp_path, capsys):
    """STS-B from its TSV files to the leaderboard's: what validation logs is what littlebird-evaluate says."""
    folder, done = regression
    common = [f"{folder}/data", "--path", f"{folder}/model/checkpoint_last.pt", "--device", "cpu"]
    predict([*common, "--gen-subset", "valid", "--output", f"{tmp_path}/out"])
    files = ["--gold", f"{folder}/data/valid.gold.json", "--predictions", f"{tmp_path}/out/predictions.json", "--json"]
    capsys.readouterr()
    evaluate(["--dataset", "glue", "--name", "STS-B", *files, "--length-bins", "8,16"])
    scores = json.loads(capsys.readouterr().out)
    record = logged(done, "valid")[-1]
    for name in ("pearson", "spearman"):
        assert float(record[f"valid_{name}"]) == pytest.approx(scores[name], abs=0.02)
    assert sum(one["texts"] for one in scores["by_length"]) == 30 and "valid_mcc" not in record
    evaluate(["--dataset", "classification", *files])
    captured = capsys.readouterr()
    assert json.loads(captured.out)["pearson"] == pytest.approx(scores["pearson"] / 100)
    predictions = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert all(0 <= one["score"] <= 5 for one in predictions.values())
    for more in ([], ["--overwrite"]):
        predict([*common, "--output", f"{tmp_path}/test", "--glue-submission", f"{tmp_path}/submission", *more])
    lines = (tmp_path / "submission" / "STS-B.tsv").read_text().splitlines()
    assert lines[0] == "index\tprediction" and [line.split("\t")[0] for line in lines[1:]] == [*map(str, range(12))]
    with pytest.raises(SystemExit):
        predict([*common, "--gen-subset", "valid", "--output", f"{tmp_path}/no", "--glue-submission", f"{tmp_path}/s"])
    assert "the split 'valid'" in capsys.readouterr().err


def test_fairseq_criterion_needs_to_know(regression, fairseq, tmp_path):
    folder, _ = regression
    done = train(fairseq, folder / "data", tmp_path, "--criterion", "sentence_prediction", updates=1, status=None)
    assert done.returncode == 2 and "add --regression-target" in done.stderr.strip().splitlines()[-1]
    options = ["--criterion", "sentence_prediction", "--regression-target", "--disable-validation"]
    train(fairseq, folder / "data", tmp_path, *options, updates=1)


def test_classify(regression):
    folder, _ = regression
    scores = LittleBird.from_pretrained(folder / "model", device="cpu")
    one = scores.classify("night train", "night clock")
    assert 0 <= one.score <= 5 and one.record() == {"score": one.score}


@pytest.mark.slow
def test_export(regression, tmp_path):
    """AutoModelForSequenceClassification and onnxruntime compute what we do, without this package."""
    checkpoint = regression[0] / "model" / "checkpoint_last.pt"
    texts = [["night train clock.", "the salt mine of the river"], ["paper mill", "old harbour."]]
    logits, problem_type, labels, ends = exported(checkpoint, texts, tmp_path)
    torch.testing.assert_close(exported_graph(checkpoint, texts, tmp_path), logits, atol=1e-4, rtol=1e-3)
    assert (problem_type, labels, ends) == ("regression", ["score"], [0.0, 5.0])
    found = LittleBird.from_pretrained(checkpoint, device="cpu").classify(*texts)
    assert (5 * logits[:, 0].clamp(0, 1)).tolist() == pytest.approx([one.score for one in found], abs=1e-4)
