"""A precision that the processor is slow in is named to those who choose it."""

from __future__ import annotations

import logging
import math
from types import SimpleNamespace

import pytest
import torch

from fairseq_littlebird import processor
from fairseq_littlebird.pipelines.loading import load_trained
from fairseq_littlebird.tasks import bundled_files


@pytest.fixture
def durations(monkeypatch):
    """``durations(half)`` are the relative durations of half precision; warnings are said anew."""

    def take(half):
        monkeypatch.setattr(processor, "relative_duration", lambda dtype: half)
        processor.warn_if_slow.cache_clear()

    yield take
    processor.warn_if_slow.cache_clear()


def test_a_duration_is_one_of_this_processor():
    processor.relative_duration.cache_clear()
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert 0 < processor.relative_duration(dtype) < math.inf


@pytest.mark.parametrize(
    ("dtype", "device", "duration", "said"),
    [
        (torch.bfloat16, "cpu", 7.6, ["bfloat16 takes 8 times as long as float32 on this processor: choose float32"]),
        (torch.float16, "cpu", 2.0, ["float16 takes 2 times as long as float32 on this processor: choose float32"]),
        (torch.bfloat16, "cpu", 0.5, []),
        (torch.bfloat16, "cuda", 7.6, []),
        (torch.qint8, "cpu", 7.6, []),
        (torch.float32, "cpu", 7.6, []),
    ],
)
def test_half_precision_that_is_slow_is_named_once(durations, caplog, dtype, device, duration, said):
    durations(duration)
    for _ in range(2):
        processor.warn_if_slow(dtype, torch.device(device))
    assert caplog.messages == said


@pytest.mark.parametrize(("given", "said"), [("bf16", 1), ("fp16", 1), ("", 0)])
def test_trainings(durations, caplog, monkeypatch, given, said):
    """Of any model, fairseq's own included."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    durations(9.0)
    common = SimpleNamespace(cpu=True, fp16=given == "fp16", bf16=given == "bf16")
    bundled_files._check_training(object(), common)
    assert len(caplog.messages) == said


def test_predictions(durations, caplog, qa_model, tiny):
    durations(9.0)
    load_trained(qa_model, tiny / "questions", "cpu", "float32")
    assert caplog.messages == []
    load_trained(qa_model, tiny / "questions", "cpu", "bfloat16")
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == [
        "bfloat16 takes 9 times as long as float32 on this processor: choose float32"
    ]
