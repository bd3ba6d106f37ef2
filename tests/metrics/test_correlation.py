"""Correlations against scipy's and scikit-learn's, on random and degenerate vectors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.glue import GLUE_TASKS
from fairseq_littlebird.metrics import classification, glue, regression, text_scores
from fairseq_littlebird.metrics.correlation import UndefinedCorrelation, matthews, pearson, ranks, spearman


def vectors():
    rng = np.random.default_rng(0)
    for n in (2, 3, 7, 100, 1501):
        yield rng.normal(size=n), rng.normal(size=n)
        x = rng.integers(0, 6, n).astype(float)
        if len(set(x)) > 1:  # ties
            yield x, np.clip(np.round(x + rng.normal(size=n)), 0, 5) + np.arange(n) % 2
    x = rng.normal(size=50)
    yield x, 3 * x + 1
    yield x, -x
    yield 1e200 * x, x
    yield 1e-200 * x, rng.normal(size=50)
    yield 1e6 + 1e-3 * x, rng.normal(size=50)


@pytest.mark.parametrize("pair", [*vectors()], ids=str)
def test_pearson_and_spearman_equal_scipy(pair):
    stats = pytest.importorskip("scipy.stats")
    x, y = (side.tolist() for side in pair)
    assert ranks(x) == stats.rankdata(x).tolist()
    assert pearson(x, y) == pytest.approx(stats.pearsonr(*pair).statistic, abs=1e-9)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(*pair).statistic, abs=1e-12)


@pytest.mark.parametrize(("x", "y"), [([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]), ([1.0, 2.0], [5.0, 5.0]), ([1.0], [2.0])])
def test_constant_sides_give_0_and_a_warning(x, y):
    for kind in (pearson, spearman):
        with pytest.warns(UndefinedCorrelation, match="taken as 0"):
            assert kind(x, y) == 0.0


def labels():
    rng = np.random.default_rng(1)
    for n, K in ((5, 2), (40, 2), (300, 5)):
        yield rng.integers(0, K, n), rng.integers(0, K, n)
    yield np.array([0, 1, 1, 0]), np.array([0, 0, 0, 0])  # one label predicted
    yield np.array([1, 1, 1]), np.array([0, 1, 1])  # one label true
    yield np.array([1, 1, 1]), np.array([1, 1, 1])
    yield np.array([0, 1]), np.array([1, 0])


@pytest.mark.parametrize("pair", [*labels()], ids=str)
def test_scores_equal_scikit_learn(pair):
    oracle = pytest.importorskip("sklearn.metrics")
    truth, guess = pair
    keys = [f"{n}" for n in range(len(truth))]
    gold = {key: str(label) for key, label in zip(keys, truth, strict=True)}
    predictions = {key: str(label) for key, label in zip(keys, guess, strict=True)}
    every = [str(label) for label in range(max(2, truth.max() + 1, guess.max() + 1))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels that occur on one side alone
        wanted = {
            "accuracy": oracle.accuracy_score(truth, guess),
            "mcc": oracle.matthews_corrcoef(truth, guess),
            "micro_f1": oracle.f1_score(truth, guess, average="micro"),
            "macro_f1": oracle.f1_score(truth, guess, average="macro"),
        }
        if len(every) == 2:
            wanted["f1"] = oracle.f1_score(truth, guess, zero_division=0)
            for name, positive in (("sensitivity", 1), ("specificity", 0)):
                wanted[name] = oracle.recall_score(truth, guess, pos_label=positive, zero_division=0)
    scores = classification.evaluate(gold, predictions, labels=every)
    assert {name: scores[name] for name in wanted} == pytest.approx(wanted, abs=1e-12)


def test_matthews_counts_what_is_missing():
    """Four texts, two right, one without a prediction, which is a class of its own."""
    oracle = pytest.importorskip("sklearn.metrics")
    wanted = oracle.matthews_corrcoef([0, 0, 1, 1], [0, 1, 1, 2])
    assert matthews(2, [2, 2, 0], [1, 2, 1], 4) == pytest.approx(wanted)
    scores = classification.evaluate({"a": "0", "b": "0", "c": "1", "d": "1"}, {"a": "0", "b": "1", "c": "1"})
    assert scores["mcc"] == pytest.approx(wanted)


def test_regression_scores():
    gold = {"a": 1.0, "b": 2.5, "c": 5.0}
    predictions = {"a": {"score": 2.0}, "b": {"score": 2.0}, "c": {"score": 4.5}, "other": {"score": 1}}
    scores = text_scores.evaluate(gold, predictions)
    assert scores["mse"] == pytest.approx((1 + 0.25 + 0.25) / 3)
    assert scores["spearman"] == pytest.approx(3**0.5 / 2)
    assert text_scores.evaluate(gold, {"a": 2, "b": 2.0, "c": 4.5}) == scores
    for predicted, says in (
        ({"a": 1.0, "b": 2.0}, "example c: no prediction"),
        ({"a": 1.0, "b": float("nan"), "c": 1.0}, "example b: the score is NaN"),
        ({"a": 1.0, "b": {"label": "x"}, "c": 1.0}, "example b: the score is"),
    ):
        with pytest.raises(UserError, match=says):
            regression.evaluate(gold, predicted)
    with pytest.raises(UserError, match="a score here, labels in the gold file"):
        text_scores.evaluate({"a": "x"}, {"a": {"score": 1.0}})


def test_by_length():
    gold = {"a": "x", "b": "y", "c": "x", "d": "x"}
    predictions = {"a": "x", "b": "x", "c": "x", "d": "y"}
    bins = text_scores.by_length(gold, predictions, {"a": 3, "b": 4, "c": 5, "d": 900}, (4, 8, 16))
    assert [(one.name, one.texts, one.scores.get("accuracy")) for one in bins] == [
        ("1 to 4", 2, 0.5),
        ("5 to 8", 1, 1.0),
        ("9 to 16", 0, None),
        ("over 16", 1, 0.0),
    ]


@pytest.mark.parametrize("name", GLUE_TASKS)
def test_glue_figures(name):
    """Those of the leaderboard, in percent; F1 is of the label 1 whichever comes first in the file."""
    task = GLUE_TASKS[name]
    if not task.labels:
        gold, predictions = {"0": 5.0, "1": 0.0, "2": 2.0}, {"0": {"score": 4}, "1": {"score": 1}, "2": {"score": 2}}
    else:
        values = [task.labels[n % len(task.labels)] for n in range(6)]
        gold = {f"{n}": value for n, value in enumerate(values)}
        predictions = gold | {"0": task.labels[-1]}
    figures = glue.evaluate(task, gold, predictions)
    assert tuple(figures) == task.figures and all(0 < value <= 100 for value in figures.values())
    if "f1" in figures:
        assert figures["f1"] == pytest.approx(100 * 6 / 7)
    if task.labels:
        with pytest.raises(UserError, match="example z: .* none of"):
            glue.evaluate(task, gold | {"z": "unknown"}, predictions)
