"""What a task's own batch iterator gives, epoch after epoch, from data workers."""

from __future__ import annotations

import pytest
import torch
from fairseq import tasks
from fairseq.dataclass.utils import merge_with_parent
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import OmegaConf


def build(name, data, **options):
    config = merge_with_parent(
        TASK_DATACLASS_REGISTRY[name](), OmegaConf.create({"_name": name, "data": str(data), "seed": 1})
    )
    for option, value in options.items():
        config[option] = value
    return tasks.setup_task(config)


CLASSES = {"num_classes": 2, "regression_target": False, "classification_head_name": "head"}
TASKS = {
    "littlebird_masked_lm": ("text", {"tokens_per_sample": 128, "padding_insertion": True}),
    "recurring_span_selection": ("text", {"tokens_per_sample": 128, "padding_insertion": True}),
    "question_answering": (
        "questions",
        {"padding_insertion": True, "padding_insertion_probability": 1.0, "unanswered_windows": 0.5},
    ),
    "littlebird_sentence_prediction": (
        "classes",
        {"padding_insertion": True, "padding_insertion_probability": 1.0, **CLASSES},
    ),
}
CHANGING = {name: ("src_tokens", "positions") for name in TASKS} | {"littlebird_sentence_prediction": ("positions",)}


def one_epoch(task, epoch, workers):
    """Batches of an epoch as fairseq's trainer asks for them: {id of an item: its row of each input}."""
    iterator = task.get_batch_iterator(task.dataset("train"), max_sentences=8, num_workers=workers, epoch=epoch)
    rows = {}
    for batch in iterator.next_epoch_itr(shuffle=True):
        for row, index in enumerate(batch["id"].tolist()):
            length = int(batch["net_input"]["src_lengths"][row])
            rows[index] = {name: batch["net_input"][name][row, :length] for name in ("src_tokens", "positions")}
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_masks_and_gaps_change_with_the_epoch_in_data_workers(tiny, name):
    folder, options = TASKS[name]
    draws = {}
    for workers in (0, 1, 2):
        task = build(name, tiny / folder, **options)
        task.load_dataset("train", training=True)
        draws[workers] = [one_epoch(task, epoch, workers) for epoch in (1, 2)]
    size = len(task.dataset("train"))
    for epochs in draws.values():
        assert all(sorted(rows) == list(range(size)) for rows in epochs)
        for kind in CHANGING[name]:
            changed = sum(not torch.equal(epochs[0][i][kind], epochs[1][i][kind]) for i in range(size))
            assert changed > 0.5 * size, f"{kind}: {changed} of {size} changed"
    for workers in (1, 2):  # and whoever draws them, they are the same
        for epoch in (0, 1):
            for i in range(size):
                for kind in ("src_tokens", "positions"):
                    assert torch.equal(draws[workers][epoch][i][kind], draws[0][epoch][i][kind])


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_no_gaps_outside_training(tiny, name):
    folder, options = TASKS[name]
    task = build(name, tiny / folder, **options)
    task.load_dataset("valid")
    batch = next(task.get_batch_iterator(task.dataset("valid"), max_sentences=2).next_epoch_itr(shuffle=False))
    assert "positions" not in batch["net_input"]


@pytest.mark.parametrize(
    "limits", [{"max_sentences": 1}, {"max_sentences": 3}, {"max_tokens": 200}, {"max_sentences": 64}]
)
def test_every_question_of_an_evaluation_split_is_in_a_batch(tiny, limits):
    task = build("question_answering", tiny / "questions")
    task.load_dataset("valid")
    iterator = task.get_batch_iterator(task.dataset("valid"), required_batch_size_multiple=8, **limits)
    ids = [e.id for batch in iterator.next_epoch_itr(shuffle=False) for e in batch["examples"]]
    assert sorted(ids) == sorted(task.dataset("valid").prepared.example(i)[0].id for i in range(4))


@pytest.mark.parametrize("limits", [{"max_sentences": 4}, {"max_tokens": 200}, {"max_sentences": 64}])
def test_every_block_of_masked_lm_is_in_a_batch(tiny, limits):
    task = build("littlebird_masked_lm", tiny / "text", tokens_per_sample=64)
    task.load_dataset("valid")
    iterator = task.get_batch_iterator(task.dataset("valid"), required_batch_size_multiple=8, **limits)
    seen = [index for batch in iterator.next_epoch_itr(shuffle=False) for index in batch["id"].tolist()]
    assert sorted(seen) == list(range(len(task.dataset("valid"))))


@pytest.mark.parametrize("limits", [{"max_sentences": 4}, {"max_tokens": 60}, {"max_sentences": 64}])
@pytest.mark.parametrize("split", ["train", "valid"])
def test_every_document_is_in_a_batch(tiny, split, limits):
    """With their labels and whole, the first token before them."""
    task = build("littlebird_sentence_prediction", tiny / "classes", **CLASSES)
    task.load_dataset(split, training=split == "train")
    iterator = task.get_batch_iterator(task.dataset(split), required_batch_size_multiple=8, **limits)
    seen = {}
    for batch in iterator.next_epoch_itr(shuffle=False):
        rows = zip(batch["id"].tolist(), batch["net_input"]["src_tokens"], batch["target"].view(-1), strict=True)
        for index, tokens, label in rows:
            assert tokens[0] == task.source_dictionary.bos()
            text = task.source_dictionary.string(tokens[tokens != task.source_dictionary.pad()][1:])
            seen[index] = (text, label.item())
    lines = (tiny / f"short.{split}").read_text("utf-8").splitlines()
    labels = map(int, (tiny / f"label.{split}").read_text("utf-8").split())
    assert [seen[n] for n in range(len(seen))] == list(zip(lines, labels, strict=True))


def test_all_tasks_number_words_alike(tiny):
    """A checkpoint of one task starts another: the same ids whatever the task adds."""
    dictionaries = [build(name, tiny / folder, **more).source_dictionary for name, (folder, more) in TASKS.items()]
    dictionaries.append(build("masked_lm", tiny / "text").source_dictionary)
    assert len({tuple(d.symbols) for d in dictionaries}) == 1
