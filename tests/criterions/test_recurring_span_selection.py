"""The recurring-span-selection criterion on known logits."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from fairseq.logging import metrics

from fairseq_littlebird.criterions.recurring_span_selection import RecurringSpanSelectionCriterion
from fairseq_littlebird.data.batch import span_batch


@pytest.fixture
def sample(rows):
    """Two rows of 6 tokens; three questions and one."""
    own = rows(2, 6)
    questions = [np.array([1, 2, 5]), np.array([3])]
    starts, ends = [np.array([3, 3, 2]), np.array([1])], [np.array([4, 5, 4]), np.array([1])]
    return span_batch(own.tokens, None, questions, starts, ends, own.selectable, pad_id=1)


def test_counts_exact_spans_and_questions(sample, known_model):
    criterion = RecurringSpanSelectionCriterion(None, SimpleNamespace())
    loss, size, log = criterion(known_model([3, 1], [4, 1]), sample)
    assert (size, log["exact"], log["sample_size"], log["nsentences"], log["ntokens"]) == (4, 2, 4, 2, 12)
    # starts: right for two questions and for the second row's; ends: right for two of four
    certain, wrong = math.log(1 + 5 * math.exp(-20)), 20 + math.log(1 + 5 * math.exp(-20))
    assert log["start_loss"] == pytest.approx(3 * certain + wrong, rel=1e-5)
    assert log["end_loss"] == pytest.approx(3 * certain + wrong, rel=1e-5)
    assert float(loss) == pytest.approx(log["start_loss"] + log["end_loss"])


def test_logs_plain_numbers_only(sample, known_model):
    """A numpy scalar in a checkpoint's meters would stop safe loading."""
    _, size, log = RecurringSpanSelectionCriterion(None, SimpleNamespace())(known_model([3, 1], [4, 1]), sample)
    assert {type(value) for value in log.values()} <= {int, float} and type(size) is int


def test_reduction_is_a_mean_over_questions():
    logs = [
        {"loss": 3.0, "start_loss": 2.0, "end_loss": 1.0, "exact": 1, "sample_size": 2},
        {"loss": 5.0, "start_loss": 1.0, "end_loss": 4.0, "exact": 0, "sample_size": 6},
        {"loss": 0.0, "start_loss": 0.0, "end_loss": 0.0, "exact": 0, "sample_size": 0},
    ]
    with metrics.aggregate() as values:
        RecurringSpanSelectionCriterion.reduce_metrics(logs)
    got = values.get_smoothed_values()
    assert got["accuracy"] == 12.5
    assert got["loss"] == pytest.approx(8 / 8 / math.log(2), abs=1e-3)
    assert got["end_loss"] == pytest.approx(5 / 8 / math.log(2), abs=1e-3)


def test_a_batch_without_questions_logs_nothing_and_costs_nothing(rows, known_model):
    own, none = rows(2, 6), [np.array([], dtype=np.int64)] * 2
    sample = span_batch(own.tokens, None, none, none, none, own.selectable, pad_id=1)
    loss, size, log = RecurringSpanSelectionCriterion(None, SimpleNamespace())(known_model([3, 1], [4, 1]), sample)
    assert float(loss) == 0 and size == 0
    with metrics.aggregate() as values:
        RecurringSpanSelectionCriterion.reduce_metrics([log])
    assert not values.get_smoothed_values()
