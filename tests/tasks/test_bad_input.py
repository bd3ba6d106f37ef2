"""Bad input: one line that says what is wrong, exit status 2, no traceback."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.tasks import TASK_DATACLASS_REGISTRY, TASK_REGISTRY
from omegaconf import OmegaConf

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.littlebird import LittleBirdModel
from fairseq_littlebird.models.size_check import check_sizes
from fairseq_littlebird.models.worker_check import check_spawning
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringConfig, QuestionAnsweringTask
from fairseq_littlebird.tasks.recurring_span_selection import RecurringSpanSelectionConfig, RecurringSpanSelectionTask


def assert_one_line(done, *says, command="fairseq-train"):
    """Warnings of fairseq and torch may come first; the last line is ours, and the only one that is."""
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert [line for line in lines if line.startswith(f"{command}: ")] == lines[-1:]
    for words in says:
        assert words in lines[-1]


def truncate(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--pack-size", "-3"], "pack size -3 is negative"),
        (["--block-size", "0"], "block size 0 is not positive"),
        (["--encoder-attention-heads", "5"], "5 attention heads do not divide a width of 32"),
        (["--padding-insertion-probability", "3"], "probability"),
        (["--padding-insertion-min", "9", "--padding-insertion-max", "3"], "gaps from 9 to 3"),
        (["--padding-insertion-after", "☃"], "dict.txt"),
    ],
)
def test_odd_options(train, tmp_path, options, says):
    assert_one_line(train("recurring_span_selection", tmp_path, 1, *options, status=None), says)


@pytest.mark.parametrize(
    ("task", "folder", "config"),
    [
        (QuestionAnsweringTask, "questions", QuestionAnsweringConfig),
        (RecurringSpanSelectionTask, "text", RecurringSpanSelectionConfig),
    ],
)
def test_a_forgotten_criterion(tiny, task, folder, config):
    cfg = OmegaConf.structured(config(data=str(tiny / folder), seed=1))
    OmegaConf.set_struct(cfg, False)
    cfg._name = name = "recurring_span_selection" if folder == "text" else "question_answering"
    with pytest.raises(UserError, match=f"give --criterion {name}$"):
        task.setup_task(cfg).build_criterion(OmegaConf.create({"_name": "cross_entropy"}))


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("unanswered_windows", 7.0, "^--unanswered-windows 7; give a fraction from 0 to 1"),
        ("windows_per_question", -1, "^--windows-per-question -1; give a whole number from 0"),
        ("virtual_paddings", -40, "^--virtual-paddings -40; give a whole number from 0"),
        ("max_questions", -5, "^--max-questions -5; give a whole number from 0"),
        ("max_span_length", 0, "^--max-span-length 0; give a whole number from 1"),
    ],
)
def test_numbers_that_make_no_sense(tiny, option, value, says):
    spans = option.startswith("max")
    task, config, folder = (
        (RecurringSpanSelectionTask, RecurringSpanSelectionConfig, "text")
        if spans
        else (QuestionAnsweringTask, QuestionAnsweringConfig, "questions")
    )
    with pytest.raises(UserError, match=says):
        task.setup_task(config(data=str(tiny / folder), **{option: value}))


def test_questions_of_a_data_set_that_nothing_registers(tiny, tmp_path):
    folder = shutil.copytree(tiny / "questions", tmp_path / "questions")
    settings = json.loads((folder / "prepared.json").read_text("utf-8"))
    (folder / "prepared.json").write_text(json.dumps(settings | {"dataset": "charades"}), "utf-8")
    with pytest.raises(UserError, match="questions: of an unknown data set, 'charades'; .*--user-dir"):
        QuestionAnsweringTask.setup_task(QuestionAnsweringConfig(data=str(folder)))


def test_a_folder_without_data(train, tmp_path):
    done = train("question_answering", tmp_path, 1, data=tmp_path, status=None)
    assert_one_line(done, str(tmp_path / "dict.txt"), "not found")


@pytest.mark.parametrize(
    ("task", "folder", "says"),
    [
        ("recurring_span_selection", "questions", "prepared for question answering; --task recurring_span_selection"),
        (
            "littlebird_masked_lm",
            "prepared classes",
            "prepared for classification; --task littlebird_masked_lm expects",
        ),
        ("littlebird_sentence_prediction", "questions", "expects one of littlebird-prepare classification"),
        ("question_answering", "prepared classes", "expects one of littlebird-prepare qa"),
    ],
)
def test_a_folder_of_another_task(tiny, tmp_path, task, folder, says):
    (tmp_path / "prepared.json").write_text('{"version": 1, "dataset": "classification"}', "utf-8")
    data = tmp_path if folder == "prepared classes" else tiny / folder
    kind, config = TASK_REGISTRY[task], TASK_DATACLASS_REGISTRY[task]
    cfg = OmegaConf.structured(config(data=str(data)))
    with pytest.raises(UserError, match=f"this folder was {says}" if says.startswith("prep") else says):
        kind.setup_task(cfg)


def test_a_forgotten_architecture(fairseq, tmp_path):
    done = fairseq("train", "text", "--task", "masked_lm", "--save-dir", tmp_path, status=None)
    assert_one_line(done, "no --arch; give the architecture to train")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the backend is there")
@pytest.mark.parametrize("task", ["recurring_span_selection", "masked_lm", "sentence_prediction"])
@pytest.mark.parametrize("backend", ["triton", "flex"])
def test_a_backend_that_cannot_train_here(train, tmp_path, task, backend):
    """Before a batch is read; with fairseq's own tasks at the first one, and with as short an error."""
    more = ["--attention-backend", backend, "--attention-dropout", 0]
    done = train(task, tmp_path / "saved", 1, *more, status=None)
    assert_one_line(done, f"attention backend '{backend}' ", "--attention-backend")
    assert not list(tmp_path.rglob("checkpoint*.pt"))


@pytest.mark.parametrize("option", [["--distributed-world-size", "2"], ["--distributed-world-size=2"]])
def test_spawning_without_an_accelerator(option):
    words = ["/bin/fairseq-train", "data", *option]
    with pytest.raises(UserError, match="starts the 2 workers .* on accelerators, and none is here; start torchrun"):
        check_spawning(words, {}, accelerators=0)
    check_spawning(words, {}, accelerators=2)
    check_spawning([*words, "--distributed-no-spawn"], {}, accelerators=0)
    check_spawning(words, {"RANK": "0"}, accelerators=0)
    check_spawning(["/bin/fairseq-train", "data", "--distributed-world-size", "1"], {}, accelerators=0)
    check_spawning(["/bin/littlebird-launch", *words[1:]], {}, accelerators=0)


def test_documents_without_labels(train, tiny, tmp_path):
    shutil.copytree(tiny / "classes", tmp_path / "classes")
    (tmp_path / "classes" / "label" / "train.bin").unlink()
    done = train("littlebird_sentence_prediction", tmp_path, 1, data=tmp_path / "classes", status=None)
    assert_one_line(done, "label/train", "no such split")


def test_classes_without_number(train, tmp_path):
    done = train("littlebird_sentence_prediction", tmp_path, 1, "--num-classes", "-1", status=None)
    assert_one_line(done, "--num-classes")


def test_a_split_that_is_not_there(train, tmp_path):
    done = train("question_answering", tmp_path, 1, "--valid-subset", "nowhere", status=None)
    assert_one_line(done, "questions", "nowhere")


def test_a_text_split_that_is_not_there(train, tmp_path):
    done = train("recurring_span_selection", tmp_path, 1, "--valid-subset", "nowhere", status=None)
    assert_one_line(done, "text", "nowhere")


def test_a_checkpoint_of_another_dictionary(train, tiny, span_model, tmp_path):
    shutil.copytree(tiny / "text", tmp_path / "text")
    lines = (tmp_path / "text" / "dict.txt").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "text" / "dict.txt").write_text("".join(lines[:40] + lines[41:]), "utf-8")
    done = train(
        "recurring_span_selection",
        tmp_path,
        1,
        "--finetune-from-model",
        span_model,
        data=tmp_path / "text",
        status=None,
    )
    assert_one_line(done, str(span_model), "(353 symbols, 352 there): id 44 is ")


def test_a_checkpoint_of_another_size(train, span_model, tmp_path):
    done = train(
        "recurring_span_selection",
        tmp_path,
        1,
        "--finetune-from-model",
        span_model,
        "--encoder-ffn-embed-dim",
        "64",
        status=None,
    )
    says = (
        "the checkpoint has other sizes: --encoder-ffn-embed-dim 48, not 64; give the --arch that it was trained with"
    )
    assert_one_line(done, says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"encoder_embed_dim": 32, "encoder_layers": 2},
            "--encoder-layers 3, not 2, --encoder-embed-dim 64, not 32; give the --arch that it was trained with, or "
            "--encoder-layers 3 --encoder-embed-dim 64",
        ),
        ({"encoder_attention_heads": 2, "pack_size": 8}, "--encoder-attention-heads 4, not 2, --pack-size 32, not 8;"),
        ({"pack_size": 0}, "is of another architecture: it has "),
        ({"positions": "learned"}, "is of another architecture: it lacks 1 parameters such as encoder.embeddings.pos"),
    ],
)
def test_sizes_that_differ_are_named(changes, says):
    task = SimpleNamespace(source_dictionary=Dictionary())
    sizes = {"encoder_layers": 3, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 80, "encoder_attention_heads": 4}
    sizes |= {"pack_size": 32}
    state, other = (LittleBirdModel.build_model({**sizes, **own}, task).state_dict() for own in ({}, changes))
    with pytest.raises(UserError) as error:
        check_sizes(state, other)
    assert says in str(error.value)


@pytest.mark.parametrize("option", ["--finetune-from-model", "--restore-file"])
def test_a_truncated_checkpoint(train, span_model, tmp_path, option):
    broken = tmp_path / "broken.pt"
    shutil.copyfile(span_model, broken)
    truncate(broken)
    assert_one_line(train("recurring_span_selection", tmp_path, 1, option, broken, status=None), str(broken))


@pytest.mark.parametrize("end", ["bin", "idx"])
def test_truncated_questions(train, tiny, tmp_path, end):
    shutil.copytree(tiny / "questions", tmp_path / "questions")
    truncate(tmp_path / "questions" / f"train.windows.{end}")
    done = train("question_answering", tmp_path, 1, data=tmp_path / "questions", status=None)
    assert_one_line(done, f"train.windows.{end}", "truncated")


@pytest.mark.parametrize("end", ["bin", "idx"])
def test_truncated_text(train, tiny, tmp_path, end):
    shutil.copytree(tiny / "text", tmp_path / "text")
    truncate(tmp_path / "text" / f"train.{end}")
    done = train("recurring_span_selection", tmp_path, 1, data=tmp_path / "text", status=None)
    assert_one_line(done, f"train.{end}")


def test_validate_says_it_the_same_way(fairseq, tmp_path):
    done = fairseq(
        "validate",
        tmp_path,
        "--task",
        "question_answering",
        "--path",
        tmp_path / "no.pt",
        "--cpu",
        "--batch-size",
        4,
        status=None,
    )
    assert_one_line(done, command="fairseq-validate")
