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

K = 4


class Known(torch.nn.Module):
    """Gives the logits that are asked for; stands in for LittleBirdModel."""

    def forward(self, logits, features_only, classification_head_name):
        assert features_only and classification_head_name == "sentence_classification_head"
        return logits, {}


def criterion(multi_label=False, **options):
    task = SentencePredictionTask(SimpleNamespace(num_classes=K, multi_label=multi_label), Dictionary(), Dictionary())
    return LittleBirdClassificationCriterion(LittleBirdClassificationCriterionConfig(**options), task)


def batch(rng, multi_label, B=6):
    logits = torch.tensor(rng.normal(size=(B, K)), dtype=torch.float32, requires_grad=True)
    if multi_label:
        target = torch.tensor(rng.integers(0, 2, (B, K)), dtype=torch.float32)
    else:
        target = torch.tensor(rng.integers(0, K - 1, (B, 1)))  # the last class is true nowhere
    return {"net_input": {"logits": logits}, "target": target, "ntokens": 7 * B, "nsentences": B}


@pytest.mark.parametrize("weights", ["", "1,2,0.5,8"])
def test_the_loss_of_one_label(weights):
    sample = batch(np.random.default_rng(0), multi_label=False)
    loss, size, log = criterion(class_weights=weights)(Known().train(), sample)
    w = torch.tensor([1, 2, 0.5, 8]) if weights else torch.ones(K)
    target = sample["target"].flatten()
    expected = -(w[target] * sample["net_input"]["logits"].log_softmax(-1)[range(6), target]).sum()
    torch.testing.assert_close(loss, expected)
    assert (size, log["nsentences"], log["ntokens"]) == (6, 6, 42)
    assert not any(key.startswith("hits") for key in log)  # not in training
    loss.backward()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("multi_label", [False, True])
def test_half_precision_counts_in_float32(multi_label, dtype):
    """fairseq halves the criterion and the batch; a weight of 1.001 is no number of either type."""
    sample, options = batch(np.random.default_rng(2), multi_label), {"class_weights": "1.001,1,300.1,1"}
    sample["net_input"]["logits"] = sample["net_input"]["logits"].to(dtype)
    wanted = criterion(multi_label, **options)(Known(), sample)[0]
    halved = sample | {"target": sample["target"].to(dtype) if multi_label else sample["target"]}
    loss = criterion(multi_label, **options).to(dtype)(Known().train(), halved)[0]
    assert loss.dtype == torch.float32
    assert torch.equal(loss, wanted)


@pytest.mark.parametrize("weights", ["", "8", "1,2,0.5,8"])
def test_the_loss_of_several_labels(weights):
    """A label that is there counts its weight, eight times by --class-weights 8; one that is not, once."""
    sample = batch(np.random.default_rng(1), multi_label=True)
    loss, _, _ = criterion(multi_label=True, class_weights=weights)(Known().train(), sample)
    w = {"": torch.ones(K), "8": torch.full((K,), 8.0)}.get(weights, torch.tensor([1, 2, 0.5, 8]))
    logits, target = sample["net_input"]["logits"], sample["target"]
    expected = -(w * target * F.logsigmoid(logits) + (1 - target) * F.logsigmoid(-logits)).mean(1).sum()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("multi_label", [False, True])
def test_f1_of_a_whole_split(multi_label):
    """Summed over batches, and over two workers; not the mean of the batches' F1."""
    rng, own = np.random.default_rng(2), criterion(multi_label)
    gold, predictions = {}, {}
    with metrics.aggregate(new_root=True) as values:
        for n in range(3):
            logs = []
            for worker in range(2):
                sample = batch(rng, multi_label, B=5)
                _, _, log = own(Known().eval(), sample)
                assert {type(value) for value in log.values()} <= {int, float}
                logs.append(log)
                for row in range(5):
                    scores, target = sample["net_input"]["logits"].detach()[row].sigmoid(), sample["target"][row]
                    key = f"{n} {worker} {row}"
                    gold[key] = [str(k) for k in range(K) if target[k]] if multi_label else int(target)
                    predictions[key] = {str(k): float(score) for k, score in enumerate(scores)}
            summed = {key: sum(log[key] for log in logs) for key in logs[0]}
            # as fairseq does it with and without --fast-stat-sync
            LittleBirdClassificationCriterion.reduce_metrics([summed] if n else logs)
    scores = classification.evaluate(gold, predictions)
    logged = values.get_smoothed_values()
    for name in ("accuracy", "micro_f1", "macro_f1"):
        assert float(logged[name]) == pytest.approx(100 * scores[name], abs=0.006)
    assert not any("hits" in key or "label" in key for key in logged)
    assert 0 < scores["macro_f1"] != scores["micro_f1"]


def test_nothing_logged_of_nothing():
    with metrics.aggregate(new_root=True) as values:
        LittleBirdClassificationCriterion.reduce_metrics([])
    assert not values.get_smoothed_values()


@pytest.mark.parametrize(
    ("multi_label", "weights", "says"),
    [
        (False, "8", "1 weights for 4 classes"),
        (True, "1,2", "2 weights for 4 classes"),
        (False, "1,2,a,4", "expected numbers"),
        (False, "1,2,0,4", "positive"),
        (True, "nan", "positive"),
    ],
)
def test_odd_weights(multi_label, weights, says):
    with pytest.raises(UserError, match=f"--class-weights: .*{says}"):
        criterion(multi_label, class_weights=weights)


def test_no_classes():
    with pytest.raises(UserError, match="regression"):
        criterion(regression_target=True)
    with pytest.raises(UserError, match="--task"):
        LittleBirdClassificationCriterion(LittleBirdClassificationCriterionConfig(), SimpleNamespace())
    with pytest.raises(UserError, match="no labels"):
        criterion()(Known(), {"net_input": {}})
