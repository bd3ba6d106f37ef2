"""Logs of batches, added up with one question to the device."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.criterions.logging_sums import logged, logging_sums


def test_sums_are_plain_numbers_that_a_safe_checkpoint_holds():
    logs = [{"loss": torch.tensor(0.1, requires_grad=True), "n": 2}, {"loss": torch.tensor([0.2]), "n": 3, "s": [1.0]}]
    total = logging_sums([*logs, {"n": torch.tensor(4), "s": [2.0]}])
    assert total == {"loss": pytest.approx(0.3), "n": 9, "s": [1.0, 2.0]}
    assert type(total["loss"]) is float and type(total["n"]) is float
    assert logging_sums([]) == {}


def test_many_batches_add_up_in_double_precision():
    """As plain numbers did: a float32 sum of so many would stand still."""
    logs = [{"exact": torch.tensor(2.0**24, dtype=torch.float32)}] + [{"exact": torch.tensor(1.0)}] * 3
    assert logging_sums(logs)["exact"] == 2**24 + 3


def test_only_training_keeps_tensors():
    log = {"loss": torch.tensor(1.0)}
    assert logged(log, training=True) is log
    assert type(logged(log, training=False)["loss"]) is float
