"""A split is trained or evaluated on as it is loaded, whatever its name."""

from __future__ import annotations

import json
import shutil

import pytest
from fairseq import tasks
from fairseq.dataclass.utils import merge_with_parent
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import OmegaConf

from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.data.binarized_text import check_text
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.errors import UserError

CLASSES = {"num_classes": 2, "regression_target": False, "classification_head_name": "head"}
TASKS = {
    "littlebird_masked_lm": ("text", {"tokens_per_sample": 128}),
    "recurring_span_selection": ("text", {"tokens_per_sample": 128}),
    "question_answering": ("questions", {}),
    "littlebird_sentence_prediction": ("classes", CLASSES),
}
# as fairseq's trainer does
LOADED = {"combine": True, "data_selector": None, "tpu": False}
ASKED = {"max_sentences": 2, "grouped_shuffling": False, "update_epoch_batch_itr": False}


@pytest.fixture(params=TASKS)
def task(request, tiny):
    folder, options = TASKS[request.param]
    settings = {"_name": request.param, "data": f"{tiny / folder}", "seed": 1, "padding_insertion": True}
    settings |= {"padding_insertion_probability": 1.0}
    config = merge_with_parent(TASK_DATACLASS_REGISTRY[request.param](), OmegaConf.create(settings))
    for option, value in options.items():
        config[option] = value
    return tasks.setup_task(config)


def trains(task, split, **asked):
    """Whether the batches of a split have what training alone has."""
    batches = task.get_batch_iterator(task.dataset(split), **asked).next_epoch_itr(shuffle=False)
    return "positions" in next(batches)["net_input"]


@pytest.mark.parametrize("split", ["train", "valid"])
@pytest.mark.parametrize("order", [("trained",), ("evaluated",), ("evaluated", "trained"), ("trained", "evaluated")])
def test_the_use_decides_and_not_the_name(task, split, order):
    for use in order:
        task.load_dataset(split, **(LOADED if use == "trained" else {"combine": False, "task_cfg": None}))
    if "trained" in order:
        assert trains(task, split, **ASKED)
        task.load_dataset(split, epoch=2, **LOADED)  # as with several folders each epoch does
        assert trains(task, split, **ASKED)
    if "evaluated" in order:
        assert not trains(task, split, max_sentences=2)


def test_training_on_valid_and_validating_on_both(train, logged, tmp_path):
    """--valid-subset valid stands where it is not given, so one split is both."""
    options = ["--train-subset", "valid", "--valid-subset", "train,valid", "--seed", 3]
    done = train("question_answering", tmp_path, 2, *options)
    assert "Traceback" not in done.stderr and len(logged(done, "train_inner")) == 2
    for subset in ("train", "valid"):  # the training's own figures are under "train" too
        assert [figures for figures in logged(done, subset) if any("f1" in name for name in figures)]


@pytest.mark.parametrize("split", ["train", "valid"])
def test_answers_to_any_split(qa_model, tiny, tmp_path, split):
    out = tmp_path / "out"
    predict([f"{tiny}/questions", "--path", f"{qa_model}", "--gen-subset", split, "--output", f"{out}"])
    asked = PreparedQuestions(tiny / "questions", split)
    answered = json.loads((out / "predictions.json").read_text("utf-8"))
    assert list(answered) == [asked.example(i)[0].id for i in range(len(asked))]


def test_questions_that_are_kept_for_scoring_are_not_trained_on(tiny, tmp_path):
    """An answer that is not in its document would be trained on as none."""
    content = json.loads((tiny / "valid.json").read_text("utf-8"))
    questions = content["data"][0]["paragraphs"][0]["qas"]
    questions[0]["answers"] = [{"text": "not in it", "answer_start": 0}]
    questions[1]["question"] = " "
    (tmp_path / "valid.json").write_text(json.dumps(content))
    words = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt", "--destdir", f"{tmp_path}/out"]
    prepare(["qa", "--dataset", "squad", "--valid", f"{tmp_path}/valid.json", *words, "--max-tokens", "64",
             "--stride", "24"])  # fmt: skip
    config = merge_with_parent(
        TASK_DATACLASS_REGISTRY["question_answering"](), OmegaConf.create({"data": f"{tmp_path}/out", "seed": 1})
    )
    task = tasks.setup_task(OmegaConf.merge(config, {"_name": "question_answering"}))
    dataset = task.load_dataset("valid", training=True)
    asked = [dataset.prepared.example(index)[0].id for index in dataset.ordered_indices()]
    assert sorted(asked) == sorted(question["id"] for question in questions[2:])
    assert len(task.load_dataset("valid").ordered_indices()) == len(questions)


def test_a_split_that_is_not_there_names_those_that_are(tiny, tmp_path):
    with pytest.raises(UserError, match="no split 'dev' here; name one of train, valid$"):
        PreparedQuestions(tiny / "questions", "dev")
    with pytest.raises(UserError, match="'test'.* train, valid.* --test$"):
        PreparedQuestions(tiny / "questions", "test")
    shutil.copy(tiny / "questions" / "prepared.json", tmp_path)
    with pytest.raises(UserError, match="'dev'.* littlebird-prepare qa$"):
        PreparedQuestions(tmp_path, "dev")


def test_binarized_splits_that_are_there_are_named(tiny, tmp_path):
    with pytest.raises(UserError, match="text/dev: .* train, valid$"):
        check_text(f"{tiny}/text", "dev")
    with pytest.raises(UserError, match="dev: .* fairseq-preprocess --only-source$"):
        check_text(f"{tmp_path}", "dev")


@pytest.mark.parametrize("split", ["train", "valid"])
def test_limits_that_leave_no_item_are_one_line(task, split):
    """fairseq leaves out what is too long, and says of an empty rest that the data set is."""
    task.load_dataset(split, **LOADED)
    with pytest.raises(UserError, match=r"^--max-positions, --max-tokens: all \d+ items"):
        task.get_batch_iterator(task.dataset(split), max_positions=3, ignore_invalid_inputs=True, **ASKED)
