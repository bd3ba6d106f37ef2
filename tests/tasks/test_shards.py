"""Folders joined by colons: one an epoch in turn, also for a run that goes on."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from fairseq.data import indexed_dataset

from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.errors import UserError

WORKER = Path(__file__).with_name("workers.py")
SHARDS = (4, 8, 12)  # examples, so that an epoch's batches say which folder it read
CHUNK = 100  # tokens of a text
UPDATES = [1, 2, 3, 1, 2]  # of the epochs
GAPS = "--padding-insertion --padding-insertion-probability 1"
TASKS = {
    "littlebird_masked_lm": f"--criterion masked_lm --tokens-per-sample {CHUNK + 1} {GAPS}",
    "recurring_span_selection": f"--criterion recurring_span_selection --tokens-per-sample {CHUNK + 1} {GAPS}",
    "question_answering": f"--criterion question_answering {GAPS} --unanswered-windows 0.5",
    "littlebird_sentence_prediction": f"--criterion littlebird_classification --num-classes 2 {GAPS}",
}
TRAINING = """--arch littlebird_tiny --encoder-layers 1 --encoder-embed-dim 16 --encoder-ffn-embed-dim 24
    --encoder-attention-heads 2 --pack-size 4 --block-size 16 --cpu --optimizer adam --lr 1e-3 --batch-size 4
    --no-epoch-checkpoints --required-batch-size-multiple 1 --log-format none""".split()


@pytest.fixture(scope="module")
def shards(tiny, tmp_path_factory):
    """Task -> its folders; the first alone has what is validated on."""
    folder = tmp_path_factory.mktemp("shards")
    questions = json.loads((tiny / "train.json").read_text())["data"]
    asked = [qa | {"context": p["context"]} for article in questions for p in article["paragraphs"] for qa in p["qas"]]
    words = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt"]
    found = {name: [folder / f"{name}{n}" for n in range(len(SHARDS))] for name in ("text", "questions", "classes")}
    for n, size in enumerate(SHARDS):
        first = sum(SHARDS[:n])
        some = asked[first : first + size]
        paragraphs = [{"context": qa["context"], "qas": [qa]} for qa in some]
        path = folder / f"{n}.json"
        path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "", "paragraphs": paragraphs}]}))
        arguments = ["--train", f"{path}"] + (["--valid", f"{tiny}/valid.json"] if n == 0 else [])
        arguments += ["--max-tokens", "64", "--stride", "24", "--destdir", f"{found['questions'][n]}"]
        prepare(["qa", "--dataset", "squad", *arguments, *words])
        for source, target in [("text", ""), ("classes/input0", "input0"), ("classes/label", "label")]:
            into = found[source.split("/")[0]][n] / target
            into.mkdir(parents=True)
            copy(tiny / source, into, first, size, valid=n == 0)
    return {
        "littlebird_masked_lm": found["text"],
        "recurring_span_selection": found["text"],
        "question_answering": found["questions"],
        "littlebird_sentence_prediction": found["classes"],
    }


def copy(source, into, first, size, valid):
    """So many of a data set's items; of text, chunks."""
    shutil.copyfile(source / "dict.txt", into / "dict.txt")
    items = list(indexed_dataset.make_dataset(str(source / "train"), "mmap"))
    if source.name == "text":
        items = torch.cat(items).split(CHUNK)
    builder = indexed_dataset.make_builder(str(into / "train.bin"), "mmap", vocab_size=1000)
    for item in items[first : first + size]:
        builder.add_item(item)
    builder.finalize(str(into / "train.idx"))
    for end in ("bin", "idx") if valid else ():
        shutil.copyfile(source / f"valid.{end}", into / f"valid.{end}")


@pytest.fixture(scope="module")
def runs(shards, forks, tmp_path_factory):
    """The folder of all runs: ``TASK straight``, and ``TASK mid`` and ``TASK end`` that stopped once on the way."""
    folder = tmp_path_factory.mktemp("runs")
    cases = []
    for name, options in TASKS.items():
        data = os.pathsep.join(map(str, shards[name]))
        for kind, stops in {"straight": [], "mid": [5], "end": [6]}.items():
            for updates in [*stops, sum(UPDATES)]:
                saved = folder / f"{name} {kind}"
                loaders = int(kind == "mid")
                own = ["--max-update", str(updates), "--save-dir", f"{saved}", "--num-workers", str(loaders)]
                cases.append({"words": [data, "--task", name, *options.split(), *TRAINING, *own]})
    (folder / "cases.json").write_text(json.dumps(cases))
    command = [sys.executable, str(WORKER), str(folder / "cases.json")]
    done = forks.run(command)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder


@pytest.mark.parametrize("name", TASKS)
def test_each_epoch_reads_the_next_folder(runs, name):
    ids = json.loads((runs / f"{name} straight.0.json").read_text())["ids"]
    assert len(ids) == sum(UPDATES)
    for epoch, updates in enumerate(UPDATES):
        first = sum(UPDATES[:epoch])
        seen = [i for update in ids[first : first + updates] for batch in update for i in batch]
        assert sorted(seen) == list(range(SHARDS[epoch % len(SHARDS)]))


@pytest.mark.parametrize("stopped", ["mid", "end"])
@pytest.mark.parametrize("name", TASKS)
def test_a_run_that_goes_on_reads_what_is_left(runs, name, stopped):
    """In the middle of an epoch, and between two."""
    straight, again = (json.loads((runs / f"{name} {kind}.0.json").read_text()) for kind in ("straight", stopped))
    left = len(again["ids"])
    assert left == sum(UPDATES) - {"mid": 5, "end": 6}[stopped]
    assert all(again[kept] == straight[kept][-left:] for kept in ("ids", "losses"))
    one, two = (
        torch.load(runs / f"{name} {kind}" / "checkpoint_last.pt", weights_only=True)["model"]
        for kind in ("straight", stopped)
    )
    assert all(torch.equal(two[parameter], one[parameter]) for parameter in one)


@pytest.mark.parametrize("name", TASKS)
def test_a_folder_that_is_missing_or_of_other_words_is_one_line(shards, name, task_of, tmp_path):
    """At the start, not when its epoch comes."""
    first, second, _ = shards[name]
    with pytest.raises(UserError, match="nowhere"):
        task_of(name, f"{first}:{second}:{tmp_path / 'nowhere'}").load_dataset("train", training=True)
    task_of(name, f"{first}:{tmp_path / 'nowhere'}").load_dataset("valid")
    shutil.copytree(second, tmp_path / "other")
    (words,) = (tmp_path / "other").glob("input0/dict.txt" if name.startswith("littlebird_s") else "dict.txt")
    words.write_text("another 1\n" + words.read_text())
    with pytest.raises(UserError, match=f"{tmp_path}/other.*dict.txt"):
        task_of(name, f"{first}:{tmp_path / 'other'}")


def test_a_folder_of_another_data_set_is_one_line(shards, task_of, tmp_path):
    first, second, _ = shards["question_answering"]
    shutil.copytree(second, tmp_path / "other")
    settings = json.loads((second / "prepared.json").read_text())
    (tmp_path / "other" / "prepared.json").write_text(json.dumps(settings | {"dataset": "triviaqa"}))
    with pytest.raises(UserError, match="of another data set"):
        task_of("question_answering", f"{first}:{tmp_path / 'other'}").load_dataset("train", training=True)


@pytest.fixture
def task_of():
    """``task_of(name, data)``: a task as fairseq sets it up."""
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    def task_of(name, data):
        words = [data, "--task", name, *TASKS[name].split(), *TRAINING]
        cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
        return tasks.setup_task(cfg.task)

    return task_of
