"""What a training shows, in the log, to TensorBoard and to Weights & Biases."""

from __future__ import annotations

import json
import os

import pytest
import torch
from fairseq.logging import metrics

from fairseq_littlebird.attention import BiALiBi
from fairseq_littlebird.tasks.training_monitor import TrainingMonitor, slopes

WANDB = """
import json, os
class run: pass
class config:
    update = staticmethod(lambda *a, **k: None)
def init(**options): _write({"init": options.get("project")})
def log(values, step=None): _write({"step": step, **{k: float(v) for k, v in values.items()}})
def _write(record):
    with open(os.environ["WANDB_RECORD"], "a") as file: file.write(json.dumps(record) + "\\n")
"""


@pytest.fixture(scope="module")
def watched(train, logged, tmp_path_factory):
    """A run with everything on: what it logged, its folder, and what the stand-in for wandb was told."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "wandb.py").write_text(WANDB)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_RECORD", str(folder / "wandb.jsonl"))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        done = train(
            "question_answering", folder / "saved", 4, "--tensorboard-logdir", folder / "board",
            "--wandb-project", "reader", "--metric", "squad", new_interpreter=True,
        )  # fmt: skip
    told = [json.loads(line) for line in (folder / "wandb.jsonl").read_text().splitlines()]
    return logged(done, "train_inner"), logged(done, "valid"), folder, told


def test_the_log(watched, tiny):
    train_log, valid_log, folder, _ = watched
    assert all(0 <= float(line["padding"]) < 0.9 and float(line["wps"]) >= 0 for line in train_log)
    assert len({line["padding"] for line in train_log}) > 1
    last = valid_log[-1]
    model = torch.load(folder / "saved" / "checkpoint_last.pt", weights_only=True)["model"]
    for n in (1, 2):
        beta, gamma = (model[f"encoder.layers.{n - 1}.attention.slopes.{name}"] for name in ("beta", "gamma"))
        assert float(last[f"valid_slope_{n}"]) == pytest.approx(float((beta + gamma).mean() / 2), abs=2e-4)
    assert {"valid_exact_match", "valid_f1"} <= last.keys()


def test_tensorboard_and_wandb_are_told_the_same(watched):
    pytest.importorskip("tensorboardX")
    _, valid_log, folder, told = watched
    events = b"".join(path.read_bytes() for path in (folder / "board").rglob("events*"))
    for name in (b"padding", b"slope_1", b"f1", b"wps"):
        assert name in events, name
    assert told[0] == {"init": "reader"}
    values = {key: value for record in told for key, value in record.items()}
    assert values["valid/slope_2"] == pytest.approx(float(valid_log[-1]["valid_slope_2"]))
    assert values["valid/f1"] == pytest.approx(float(valid_log[-1]["valid_f1"]))
    assert {"train_inner/padding", "train_inner/wps"} <= values.keys()


def test_a_batch_without_questions_leaves_the_mean_loss_as_it_is():
    class Criterion:
        def reduce_metrics(self, logging_outputs, criterion):
            for log in logging_outputs:
                if "loss" in log:
                    metrics.log_scalar("loss", log["loss"], log["sample_size"], round=3)

    class Task(TrainingMonitor, Criterion):
        pass

    with metrics.aggregate() as values:
        Task().reduce_metrics([{"sample_size": 0}], None)
        assert values.get_smoothed_values() == {"loss": 0}
        Task().reduce_metrics([{"sample_size": 8, "loss": 1.23456}], None)
        Task().reduce_metrics([{"sample_size": 0}], None)
    assert values.get_smoothed_values() == {"loss": 1.235}
    with metrics.aggregate() as values:
        Task().reduce_metrics([{"sample_size": 8}], None)
    assert "loss" not in values  # a criterion that logs none: fairseq says so


def test_slopes_are_those_of_every_layer():
    model = torch.nn.Sequential(BiALiBi(2), torch.nn.Linear(2, 2), BiALiBi(2))
    torch.nn.init.constant_(model[2].gamma, 3.0)
    torch.nn.init.constant_(model[2].beta, 1.0)
    found = slopes(model)
    assert list(found) == ["slope_1", "slope_2"] and found["slope_2"] == 2.0
    assert slopes(torch.nn.Linear(2, 2)) == {}
