"""The classification criterion: losses as torch defines them, F1 of a whole split as the scorer counts it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fairseq.data import Dictionary
from fairseq.logging import metrics
from fairseq.tasks.sentence_prediction import SentencePredictionTask

from fairseq_littlebird.criterions.littlebird_classification import (
    LittleBirdClassificationCriterion,
    LittleBirdClassificationCriterionConfig,
)
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import classification
from fairseq_littlebird.metrics.correlation import pearson, spearman

K = 4


class Known(torch.nn.Module):
    """Gives the logits that are asked for; stands in for LittleBirdModel."""

    def forward(self, logits, features_only, classification_head_name):
        assert features_only and classification_head_name == "sentence_classification_head"
        return logits, {}


def criterion(problem_type="single_label", num_classes=K, **options):
    cfg = SimpleNamespace(num_classes=num_classes, problem_type=problem_type)
    task = SentencePredictionTask(cfg, Dictionary(), Dictionary())
    return LittleBirdClassificationCriterion(LittleBirdClassificationCriterionConfig(**options), task)


def batch(rng, problem_type="single_label", B=6):
    logits = torch.tensor(rng.normal(size=(B, K)), dtype=torch.float32, requires_grad=True)
    if problem_type == "multi_label":
        target = torch.tensor(rng.integers(0, 2, (B, K)), dtype=torch.float32)
    else:
        target = torch.tensor(rng.integers(0, K - 1, (B, 1)))  # the last class is true nowhere
    return {"net_input": {"logits": logits}, "target": target, "ntokens": 7 * B, "nsentences": B}


@pytest.mark.parametrize("weights", ["", "1,2,0.5,8"])
def test_the_loss_of_one_label(weights):
    sample = batch(np.random.default_rng(0))
    loss, size, log = criterion(class_weights=weights)(Known().train(), sample)
    w = torch.tensor([1, 2, 0.5, 8]) if weights else torch.ones(K)
    target = sample["target"].flatten()
    expected = -(w[target] * sample["net_input"]["logits"].log_softmax(-1)[range(6), target]).sum()
    torch.testing.assert_close(loss, expected)
    assert (size, log["nsentences"], log["ntokens"]) == (6, 6, 42)
    assert not any(key.startswith("hits") for key in log)  # not in training
    loss.backward()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("problem_type", ["single_label", "multi_label"])
def test_half_precision_counts_in_float32(problem_type, dtype):
    """fairseq halves the criterion and the batch; a weight of 1.001 is no number of either type."""
    sample, options = batch(np.random.default_rng(2), problem_type), {"class_weights": "1.001,1,300.1,1"}
    sample["net_input"]["logits"] = sample["net_input"]["logits"].to(dtype)
    wanted = criterion(problem_type, **options)(Known(), sample)[0]
    halved = sample | {"target": sample["target"].to(dtype) if problem_type == "multi_label" else sample["target"]}
    loss = criterion(problem_type, **options).to(dtype)(Known().train(), halved)[0]
    assert loss.dtype == torch.float32
    assert torch.equal(loss, wanted)


@pytest.mark.parametrize("weights", ["", "8", "1,2,0.5,8"])
def test_the_loss_of_several_labels(weights):
    """A label that is there counts its weight, eight times by --class-weights 8; one that is not, once."""
    sample = batch(np.random.default_rng(1), "multi_label")
    loss, _, _ = criterion("multi_label", class_weights=weights)(Known().train(), sample)
    w = {"": torch.ones(K), "8": torch.full((K,), 8.0)}.get(weights, torch.tensor([1, 2, 0.5, 8]))
    logits, target = sample["net_input"]["logits"], sample["target"]
    expected = -(w * target * F.logsigmoid(logits) + (1 - target) * F.logsigmoid(-logits)).mean(1).sum()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("problem_type", ["single_label", "multi_label"])
def test_f1_of_a_whole_split(problem_type):
    """Summed over batches, and over two workers; not the mean of the batches' F1."""
    rng, own = np.random.default_rng(2), criterion(problem_type)
    gold, predictions, several = {}, {}, problem_type == "multi_label"
    with metrics.aggregate(new_root=True) as values:
        for n in range(3):
            logs = []
            for worker in range(2):
                sample = batch(rng, problem_type, B=5)
                _, _, log = own(Known().eval(), sample)
                assert {type(value) for value in log.values()} <= {int, float}
                logs.append(log)
                for row in range(5):
                    scores, target = sample["net_input"]["logits"].detach()[row].sigmoid(), sample["target"][row]
                    key = f"{n} {worker} {row}"
                    gold[key] = [str(k) for k in range(K) if target[k]] if several else int(target)
                    predictions[key] = {str(k): float(score) for k, score in enumerate(scores)}
            summed = {key: sum(log[key] for log in logs) for key in logs[0]}
            # as fairseq does it with and without --fast-stat-sync
            LittleBirdClassificationCriterion.reduce_metrics([summed] if n else logs)
    scores = classification.evaluate(gold, predictions)
    logged = values.get_smoothed_values()
    for name in ("accuracy", "micro_f1", "macro_f1", *(() if several else ("mcc",))):
        assert float(logged[name]) == pytest.approx(100 * scores[name], abs=0.006)
    assert not any("hits" in key or "label" in key for key in logged)
    assert ("mcc" in logged) != several and "f1" not in logged
    assert 0 < scores["macro_f1"] != scores["micro_f1"]


def test_nothing_logged_of_nothing():
    with metrics.aggregate(new_root=True) as values:
        LittleBirdClassificationCriterion.reduce_metrics([])
    assert not values.get_smoothed_values()


@pytest.mark.parametrize(
    ("problem_type", "weights", "says"),
    [
        ("single_label", "8", "1 weights for 4 classes"),
        ("multi_label", "1,2", "2 weights for 4 classes"),
        ("single_label", "1,2,a,4", "expected numbers"),
        ("single_label", "1,2,0,4", "positive"),
        ("multi_label", "nan", "positive"),
    ],
)
def test_odd_weights(problem_type, weights, says):
    with pytest.raises(UserError, match=f"--class-weights: .*{says}"):
        criterion(problem_type, class_weights=weights)


def test_a_binary_task_logs_f1_of_the_second_label():
    own = criterion(num_classes=2)
    logits = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    sample = {"net_input": {"logits": logits}, "target": torch.tensor([[1], [0], [1], [1]])}
    with metrics.aggregate(new_root=True) as values:
        log = own(Known().eval(), sample | {"ntokens": 4, "nsentences": 4})[2]
        LittleBirdClassificationCriterion.reduce_metrics([log])
    logged = values.get_smoothed_values()
    assert logged["f1"] == pytest.approx(100 * 2 / 3, abs=0.01)
    assert logged["sensitivity"] == pytest.approx(100 * 2 / 3, abs=0.01) and logged["specificity"] == 0


def test_regression():
    """The mean squared error; correlations of a whole split, over batches and workers."""
    rng, own = np.random.default_rng(5), criterion("regression", num_classes=1)
    assert not own.logging_outputs_can_be_summed() and criterion().logging_outputs_can_be_summed()
    scores, targets = [], []
    with metrics.aggregate(new_root=True) as values:
        for _ in range(3):
            logs = []
            for _ in range(2):
                logits = torch.tensor(rng.normal(0.5, 0.5, (4, 1)), dtype=torch.float32, requires_grad=True)
                target = torch.tensor(rng.choice([0.0, 0.2, 0.5, 1.0], (4, 1)), dtype=torch.float32)
                sample = {"net_input": {"logits": logits}, "target": target, "ntokens": 9, "nsentences": 4}
                loss, size, log = own(Known().eval(), sample)
                torch.testing.assert_close(loss, ((logits - target) ** 2).sum())
                assert size == 4 and "scores" not in own(Known().train(), sample)[2]
                loss.backward()
                logs.append(log)
                scores += logits.detach().clamp(0, 1).flatten().tolist()
                targets += target.flatten().tolist()
            LittleBirdClassificationCriterion.reduce_metrics(logs)
    logged = values.get_smoothed_values()
    assert float(logged["pearson"]) == pytest.approx(100 * pearson(scores, targets), abs=0.006)
    assert float(logged["spearman"]) == pytest.approx(100 * spearman(scores, targets), abs=0.006)
    assert float(logged["loss"]) > 0 and "accuracy" not in logged


def test_no_classes():
    with pytest.raises(UserError, match="scores have no classes"):
        criterion("regression", num_classes=1, class_weights="2")
    with pytest.raises(UserError, match="--task"):
        LittleBirdClassificationCriterion(LittleBirdClassificationCriterionConfig(), SimpleNamespace())
    with pytest.raises(UserError, match="no labels"):
        criterion()(Known(), {"net_input": {}})
