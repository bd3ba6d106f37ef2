"""A checkpoint of another tokenizer's symbols is refused on every way that one comes in, though they are as many."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.tasks.masked_lm import MaskedLMConfig, MaskedLMTask
from fairseq.tasks.sentence_prediction import SentencePredictionConfig, SentencePredictionTask
from omegaconf import OmegaConf

from fairseq_littlebird import LittleBird
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.warm_start import main as warm_start
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.start import start_of
from fairseq_littlebird.models.teacher import load_teacher
from fairseq_littlebird.tasks.littlebird_masked_lm import LittleBirdMaskedLMConfig, LittleBirdMaskedLMTask
from fairseq_littlebird.tasks.littlebird_sentence_prediction import (
    LittleBirdSentencePredictionConfig,
    LittleBirdSentencePredictionTask,
)
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringConfig, QuestionAnsweringTask
from fairseq_littlebird.tasks.recurring_span_selection import (
    RecurringSpanSelectionConfig,
    RecurringSpanSelectionTask,
)

TASKS = {
    "text": (LittleBirdMaskedLMTask, LittleBirdMaskedLMConfig, {}),
    "text again": (RecurringSpanSelectionTask, RecurringSpanSelectionConfig, {}),
    "questions": (QuestionAnsweringTask, QuestionAnsweringConfig, {}),
    "classes": (
        LittleBirdSentencePredictionTask,
        LittleBirdSentencePredictionConfig,
        {"num_classes": 2, "regression_target": False},
    ),
}
START = {"save_dir": "", "restore_file": "checkpoint_last.pt", "checkpoint_suffix": ""}
START |= dict.fromkeys(("continue_once", "finetune_from_model"))
OTHERS = 10
"""Lines of dict.txt at which two symbols have changed places: so many ids of special symbols and lines come before."""


@pytest.fixture(scope="module")
def swapped(tiny, tmp_path_factory):
    """The tiny data with as many symbols, two of them swapped, and these two."""
    folder = tmp_path_factory.mktemp("swapped")
    for name in ("text", "questions", "classes"):
        shutil.copytree(tiny / name, folder / name)
    for path in (folder / "text", folder / "questions", folder / "classes" / "input0"):
        lines = (path / "dict.txt").read_text("utf-8").splitlines()
        lines[OTHERS], lines[OTHERS + 1] = lines[OTHERS + 1], lines[OTHERS]
        (path / "dict.txt").write_text("\n".join(lines) + "\n", "utf-8")
    one, two = load_dictionary(tiny / "text").symbols[OTHERS + 4 : OTHERS + 6]
    return folder, f"id {OTHERS + 4} is {one!r}, there {two!r}"


def task_of(name, data, **start):
    kind, config, options = TASKS[name]
    return kind.setup_task(OmegaConf.structured(config(data=str(data / name.split()[0]), **options, **START | start)))


WAYS = {
    "resumed": lambda path, folder: {"save_dir": str(folder)},
    "restored": lambda path, folder: {"restore_file": str(path)},
    "fine-tuned": lambda path, folder: {"finetune_from_model": str(path)},
    "continued": lambda path, folder: {"continue_once": str(path)},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", TASKS)
def test_training_from_a_checkpoint(name, way, span_model, tiny, swapped, tmp_path):
    data, differ = swapped
    shutil.copyfile(span_model, tmp_path / "checkpoint_last.pt")
    start = WAYS[way](span_model, tmp_path)
    with pytest.raises(UserError) as caught:
        task_of(name, data, **start).build_model(None)
    path = tmp_path / "checkpoint_last.pt" if way == "resumed" else span_model
    assert str(caught.value).startswith(f"{path}: the checkpoint's dictionary differs from {data}/{name.split()[0]}")
    assert differ in str(caught.value)
    task_of(name, tiny, **start).check_start()


STOCK = {
    "text": (MaskedLMTask, MaskedLMConfig, {"mask_whole_words": False}),
    "classes": (
        SentencePredictionTask,
        SentencePredictionConfig,
        {"num_classes": 2, "regression_target": False, "classification_head_name": "sentence_classification_head"},
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", STOCK)
def test_fairseqs_own_tasks_from_a_checkpoint(name, way, span_model, tiny, swapped, tmp_path):
    """fairseq loads the file's tensors into the model; those of another file are none of its business."""
    shutil.copyfile(span_model, tmp_path / "checkpoint_last.pt")
    state = torch.load(span_model, weights_only=True)
    kind, config, options = STOCK[name]

    def model(data):
        cfg = OmegaConf.create(
            {
                "checkpoint": START | WAYS[way](span_model, tmp_path),
                "model": state["cfg"]["model"],
                "task": OmegaConf.structured(config(data=str(data / name), **options)),
            }
        )
        return kind.setup_task(cfg.task).build_model(cfg.model)

    data, differ = swapped
    with pytest.raises(UserError, match="the checkpoint's dictionary differs from") as caught:
        model(data).load_state_dict(dict(state["model"]))
    path = tmp_path / "checkpoint_last.pt" if way == "resumed" else span_model
    folder = data / name / ("input0" if name == "classes" else "")
    assert str(caught.value).startswith(f"{path}: the checkpoint's dictionary differs from {folder}/dict.txt: {differ}")
    model(tiny).load_state_dict(dict(state["model"]))
    table = "encoder.embeddings.tokens.weight"
    model(data).load_state_dict(state["model"] | {table: state["model"][table] + 1})


def test_what_fairseq_goes_on_from(tmp_path):
    last, other = tmp_path / "checkpoint_last.pt", tmp_path / "other.pt"
    cfg = OmegaConf.create(START | {"save_dir": str(tmp_path), "finetune_from_model": str(other)})
    assert start_of(cfg) is None
    other.touch()
    assert start_of(cfg) == other
    last.touch()
    assert start_of(cfg) == last  # as a run that is started again
    cfg.restore_file = str(other)
    assert start_of(cfg) == other
    assert start_of(OmegaConf.structured(QuestionAnsweringConfig(data=""))) is None  # outside fairseq's settings


def test_validation_and_ensembles(qa_model, tiny, swapped, tmp_path):
    """As fairseq-validate loads a model, and fairseq's ensembles."""
    data, differ = swapped
    with pytest.raises(UserError, match="^the checkpoint's dictionary differs from") as caught:
        checkpoint_utils.load_model_ensemble_and_task([str(qa_model)], {"data": str(data / "questions")})
    assert differ in str(caught.value)
    state = torch.load(qa_model, weights_only=True)
    content = torch.from_numpy(np.fromfile(data / "questions" / "dict.txt", np.uint8))
    state["task_state"]["files"]["dict.txt"] = content
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(UserError, match="dictionary differs from"):
        checkpoint_utils.load_model_ensemble_and_task(
            [str(qa_model), str(tmp_path / "other.pt")], {"data": str(tiny / "questions")}
        )
    models, _, _ = checkpoint_utils.load_model_ensemble_and_task([str(qa_model)] * 2, {"data": str(tiny / "questions")})
    assert len(models) == 2


def test_prediction(qa_model, tiny, swapped, tmp_path, capsys):
    """Also where the dictionary lies beside the checkpoint, which is older than what carries one."""
    data, _ = swapped
    state = torch.load(qa_model, weights_only=True)
    state["task_state"] = {}
    torch.save(state, tmp_path / "checkpoint.pt")
    shutil.copyfile(data / "questions" / "dict.txt", tmp_path / "dict.txt")
    for path, questions in ((qa_model, data / "questions"), (tmp_path / "checkpoint.pt", tiny / "questions")):
        with pytest.raises(SystemExit):
            predict([f"{questions}", "--path", f"{path}", "--gen-subset", "valid", "--output", f"{tmp_path}/o"])
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith(f"littlebird-predict: {path}: the checkpoint's dictionary")
        assert f"id {OTHERS + 4} is " in line


def test_a_teacher(teacher, tiny, swapped):
    data, differ = swapped
    path = teacher("littlebird_masked_lm")
    load_teacher(str(path), load_dictionary(tiny / "text"))
    with pytest.raises(UserError, match="binarize the text with the dict.txt of the teacher") as caught:
        load_teacher(str(path), load_dictionary(data / "text"))
    assert differ in str(caught.value)


def test_a_model_with_another_folder_of_symbols(qa_model, tiny, swapped):
    LittleBird.from_pretrained(qa_model, tokenizer=tiny / "tokenizer")
    data, differ = swapped
    with pytest.raises(UserError, match="give the model's own folder") as caught:
        LittleBird.from_pretrained(qa_model, tokenizer=data / "questions")
    assert differ in str(caught.value)


def test_warm_start_from_a_training(teacher, tiny, swapped, tmp_path, capsys):
    """The rows are of what the checkpoint carries; another dict.txt beside it is refused."""
    data, differ = swapped
    folder, out = tmp_path / "trained", tmp_path / "out"
    folder.mkdir()
    shutil.copyfile(teacher("littlebird_masked_lm"), folder / "checkpoint_last.pt")
    options = ["--from", str(folder), "--pack-size", "8", "--block-size", "16", "--add-token", "[NEW]"]
    warm_start([*options, "--out", str(out)])
    ours, theirs = load_dictionary(out).symbols, load_dictionary(tiny / "text").symbols
    paths = out / "checkpoint.pt", folder / "checkpoint_last.pt"
    new, old = (torch.load(path, weights_only=True)["model"] for path in paths)
    assert set(ours) - set(theirs) == {"[NEW]"}
    known, table = [ours.index(symbol) for symbol in theirs], "encoder.embeddings.tokens.weight"
    torch.testing.assert_close(new[table][known], old[table] + old["encoder.embeddings.positions.weight"].mean(0))
    shutil.copyfile(data / "text" / "dict.txt", folder / "dict.txt")
    with pytest.raises(SystemExit):
        warm_start([*options, "--out", str(tmp_path / "no")])
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{folder}/checkpoint_last.pt: the checkpoint's dictionary differs from" in line and differ in line
    # what it wrote carries its own dictionary, which is longer than the source's, and starts a training on it
    (tmp_path / "longer" / "text").mkdir(parents=True)
    shutil.copyfile(out / "dict.txt", tmp_path / "longer" / "text" / "dict.txt")
    task_of("text", tmp_path / "longer", finetune_from_model=str(out / "checkpoint.pt")).check_start()
    (out / "dict.txt").unlink()
    with pytest.raises(UserError, match=r"id \d+ is '\[NEW\]', there '<mask>'|\[NEW\]"):
        task_of("text", tiny, finetune_from_model=str(out / "checkpoint.pt")).check_start()


def test_a_checkpoint_without_dictionary_is_taken_with_a_warning(span_model, tiny, tmp_path, caplog):
    state = torch.load(span_model, weights_only=True)
    state["task_state"], state["cfg"]["task"]["data"] = {}, "gone"
    torch.save(state, tmp_path / "old.pt")
    with caplog.at_level(logging.WARNING):
        task_of("text", tiny, finetune_from_model=str(tmp_path / "old.pt")).check_start()
    assert f"{tmp_path}/old.pt has no dictionary to compare with" in caplog.text


def test_classifiers_carry_their_dictionary(train, tiny, swapped, tmp_path):
    train("littlebird_sentence_prediction", tmp_path, 1, "--disable-validation")
    path = str(tmp_path / "checkpoint_last.pt")
    checkpoint_utils.load_model_ensemble_and_task([path], {"data": str(tiny / "classes")})
    with pytest.raises(UserError, match="dictionary differs from"):
        checkpoint_utils.load_model_ensemble_and_task([path], {"data": str(swapped[0] / "classes")})
