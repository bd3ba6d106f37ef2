"""Heads that a checkpoint lacks are new where a model is fine-tuned, and refused wherever it is used."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from fairseq import checkpoint_utils

from fairseq_littlebird import LittleBird
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.errors import UserError

LACKING = "no head for sentences or paragraphs .* answer types .*--task question_answering .*hotpotqa"


@pytest.fixture(scope="module")
def hotpotqa(tiny, tmp_path_factory):
    """The tiny questions, called HotpotQA's."""
    folder = tmp_path_factory.mktemp("hotpotqa") / "questions"
    shutil.copytree(tiny / "questions", folder)
    settings = json.loads((folder / "prepared.json").read_text())
    types = ["span", "yes", "no"]
    (folder / "prepared.json").write_text(json.dumps(settings | {"dataset": "hotpotqa", "answer_types": types}))
    return folder


def test_prediction_and_validation_refuse(qa_model, hotpotqa, tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        predict(
            [f"{hotpotqa}", "--path", f"{qa_model}", "--gen-subset", "valid", "--output", f"{out}", "--device", "cpu"]
        )
    assert stop.value.code == 2 and not out.exists()
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"littlebird-predict: {qa_model}: ") and re.search(LACKING, line)
    with pytest.raises(UserError, match=LACKING):  # as fairseq-validate
        checkpoint_utils.load_model_ensemble_and_task([str(qa_model)], {"data": str(hotpotqa)})


def test_the_python_interface_refuses(qa_model, hotpotqa, tmp_path):
    state = torch.load(qa_model, weights_only=True)
    content = bytearray((hotpotqa / "prepared.json").read_bytes())
    state["task_state"]["files"]["prepared.json"] = torch.frombuffer(content, dtype=torch.uint8)
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(UserError, match=f"x.pt: .*{LACKING}"):
        LittleBird.from_pretrained(tmp_path / "x.pt")


def test_classes_of_another_number_refuse(train, tiny, tmp_path):
    train("littlebird_sentence_prediction", tmp_path, 1, "--disable-validation")
    path, data = str(tmp_path / "checkpoint_last.pt"), str(tiny / "classes")
    checkpoint_utils.load_model_ensemble_and_task([path], {"data": data})
    with pytest.raises(UserError, match="classification head .*--task littlebird_sentence_prediction"):
        checkpoint_utils.load_model_ensemble_and_task([path], {"data": data, "num_classes": 3})


def test_fine_tuning_makes_new_ones(qa_model, hotpotqa, train, tmp_path):
    done = train(
        "question_answering", tmp_path, 1, "--finetune-from-model", qa_model, "--disable-validation", data=hotpotqa
    )
    assert re.search("segment_head .*newly initialised", done.stdout)
    assert any(key.startswith("segment_head.") for key in torch.load(tmp_path / "checkpoint_last.pt")["model"])


def test_a_folder_is_taken(qa_model, tiny, tmp_path):
    common = [f"{tiny}/questions", "--gen-subset", "valid", "--device", "cpu"]
    shutil.copyfile(qa_model, tmp_path / "checkpoint_best.pt")
    for name, path in (("file", qa_model), ("folder", tmp_path)):
        predict([*common, "--path", f"{path}", "--output", f"{tmp_path / name}"])
    one, two = ((tmp_path / name / "nbest_predictions.json").read_text() for name in ("file", "folder"))
    assert one == two


def test_the_export_refuses(qa_model, transformers, tmp_path):
    from fairseq_littlebird.export.trained_model import trained_model

    state = torch.load(qa_model, weights_only=True)
    state["model"] = {key: value for key, value in state["model"].items() if not key.startswith("span_head.")}
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(UserError, match="x.pt: .*span head .*--task question_answering"):
        trained_model(tmp_path / "x.pt")
