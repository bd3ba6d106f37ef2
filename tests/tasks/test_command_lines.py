"""Every task through the real command line: trained, resumed, validated, loaded."""

from __future__ import annotations

import contextlib
import os
import pickle

import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.models import MODEL_REGISTRY

from fairseq_littlebird.models.littlebird import LittleBirdModel


def weights(path):
    return torch.load(path, weights_only=True)["model"]


def losses(records):
    return {int(r["num_updates"]): r["loss"] for r in records}


def test_an_interrupted_run_equals_an_uninterrupted_one(train, logged, pretrained, tmp_path):
    """Losses, schedule and parameters, over the end of an epoch, with the epoch's own questions and gaps."""
    folder, straight = pretrained
    first = train("recurring_span_selection", tmp_path, 4)
    second = train("recurring_span_selection", tmp_path, 14, new_interpreter=True)  # whose strings hash otherwise
    wanted = losses(logged(straight, "train_inner"))
    assert sorted(wanted) == list(range(1, 15))
    assert max(int(r["epoch"]) for r in logged(straight, "train_inner")) > 1
    assert losses(logged(first, "train_inner")) == {n: wanted[n] for n in range(1, 5)}
    assert losses(logged(second, "train_inner")) == {n: wanted[n] for n in range(5, 15)}
    one, other = weights(folder / "checkpoint_last.pt"), weights(tmp_path / "checkpoint_last.pt")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_recurring_span_selection_logs_accuracy(logged, pretrained):
    _, done = pretrained
    assert all("train_accuracy" in record for record in logged(done, "train"))
    assert 0 <= float(logged(done, "valid")[-1]["valid_accuracy"]) <= 100


DATA = {
    "masked_lm": "text",
    "littlebird_masked_lm": "text",
    "sentence_prediction": "classes",
    "littlebird_sentence_prediction": "classes",
    "question_answering": "questions",
}


@pytest.mark.parametrize("task", DATA)
def test_trained_and_resumed(train, logged, tiny, span_model, task, tmp_path):
    start = [] if task == "masked_lm" else ["--finetune-from-model", span_model]
    first = train(task, tmp_path, 2, *start)
    assert sorted(losses(logged(first, "train_inner"))) == [1, 2]
    second = train(task, tmp_path, 4, *start)
    assert sorted(losses(logged(second, "train_inner"))) == [3, 4]
    record = logged(second, "valid")[-1]
    assert float(record["valid_loss"]) > 0
    if task == "question_answering":
        assert 0 <= float(record["valid_exact_match"]) <= float(record["valid_f1"]) <= 100
    models, _, loaded = checkpoint_utils.load_model_ensemble_and_task(
        [str(tmp_path / "checkpoint_last.pt")], arg_overrides={"data": str(tiny / DATA[task])}
    )
    assert isinstance(models[0], LittleBirdModel) and loaded.source_dictionary.index("<mask>") > 4
    assert models[0].encoder.config.layers == 2


ARCHITECTURES = {
    "bigbird_itc": "--arch bigbird_itc_tiny --encoder-layers 2 --block-size 4 --random-blocks 2 --random-seed 5",
}


@pytest.mark.parametrize("task", ["masked_lm", "recurring_span_selection", "question_answering"])
@pytest.mark.parametrize("model", ARCHITECTURES)
def test_other_models_train(train_other, logged, tiny, model, task, tmp_path):
    done = train_other(task, ARCHITECTURES[model], tmp_path, 2)
    assert sorted(losses(logged(done, "train_inner"))) == [1, 2]
    models, _, _ = checkpoint_utils.load_model_ensemble_and_task(
        [str(tmp_path / "checkpoint_last.pt")], arg_overrides={"data": str(tiny / DATA.get(task, "text"))}
    )
    assert models[0].encoder.config.layers == 2 and type(models[0]) is MODEL_REGISTRY[model]


def test_validate(fairseq, span_model):
    arguments = [
        "text",
        "--task",
        "recurring_span_selection",
        "--tokens-per-sample",
        "128",
        "--path",
        span_model,
        "--batch-size",
        "4",
    ]
    done = fairseq("validate", *arguments, "--valid-subset", "valid", "--cpu")
    assert "accuracy" in done.stdout + done.stderr


def test_checkpoints_load_safely(span_model):
    state = torch.load(span_model, weights_only=True)
    assert {"cfg", "model", "last_optimizer_state", "extra_state"} <= state.keys()


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_malicious_checkpoint_is_refused(how, tmp_path):
    marker, file = tmp_path / "marker", tmp_path / "evil.pt"

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    if how == "pickle":
        file.write_bytes(pickle.dumps({"model": Evil()}, protocol=2))
    else:
        torch.save({"model": Evil(), "cfg": None, "args": None}, file)
    with pytest.raises(pickle.UnpicklingError):
        checkpoint_utils.load_checkpoint_to_cpu(str(file))
    assert not marker.exists()
    with contextlib.suppress(RuntimeError):  # unguarded, it runs
        torch.load(file, weights_only=False)
    assert marker.exists()
