"""Every task in every precision: finite losses and parameters over long padding and gaps of 100,000 positions.

With ``LITTLEBIRD_LONG=1`` all tasks make 200 updates, and every one prints its figures of the table in
docs/reliability.md (``pytest -s``); without, some make a few.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from pathlib import Path

import pytest
import torch

import fairseq_littlebird
from fairseq_littlebird.cli.prepare import main as prepare

PACKAGE = Path(fairseq_littlebird.__file__).parent
LONG = os.environ.get("LITTLEBIRD_LONG") == "1"
UPDATES = 200 if LONG else 8
SENTENCES = (1, 1, 1, 2, 3, 4, 6, 10)  # of the texts of a batch: most of it is padding
TEXT = "text --tokens-per-sample 256 --sample-break-mode complete_doc --required-batch-size-multiple 1"
QUESTIONS = "--task question_answering --criterion question_answering"
CLASSES = "--task littlebird_sentence_prediction --criterion littlebird_classification --class-weights"
DISTILLATION = "--criterion littlebird_distillation --hard-weight 0.5"
# the data folder first; a name with a slash is that of a data set's own file
TASKS = {
    "masked LM": f"{TEXT} --task littlebird_masked_lm --criterion masked_lm",
    "masked LM, slopes of 100": f"{TEXT} --task littlebird_masked_lm --criterion masked_lm",
    "masked LM, distilled": f"{TEXT} --task littlebird_masked_lm {DISTILLATION}",
    "recurring spans": f"{TEXT} --task recurring_span_selection --criterion recurring_span_selection",
    "recurring spans, distilled": f"{TEXT} --task recurring_span_selection {DISTILLATION}",
    "questions": f"questions {QUESTIONS}",
    "questions, QASS": f"questions {QUESTIONS} --span-head qass",
    "sentences as evidence": f"hotpotqa/ {QUESTIONS}",
    "candidates": f"wikihop/ {QUESTIONS}",
    "noisy answers": f"triviaqa/ {QUESTIONS}",
    "long answers": f"natural_questions/ {QUESTIONS}",
    "classes": f"one {CLASSES} 1,2,3",
    "sets of classes": f"several {CLASSES} 8",
    "classes, fairseq's criterion": "one --task littlebird_sentence_prediction --criterion sentence_prediction",
}
SHORT = [("masked LM", "amp"), ("recurring spans, distilled", "fp16"), ("sets of classes", "bf16")]
RUNS = [(task, precision) for task in TASKS for precision in ("fp32", "bf16", "fp16", "amp")] if LONG else SHORT
MODEL = """--arch littlebird_tiny --encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
    --encoder-attention-heads 2 --pack-size 8 --block-size 32 --padding-insertion
    --padding-insertion-probability 0.5 --padding-insertion-max 100000""".split()
TEACHER = """--arch roberta_full_tiny --encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
    --encoder-attention-heads 2 --max-positions 260""".split()
TRAINING = """--optimizer adam --lr 1e-3 --clip-norm 1 --batch-size 8 --no-epoch-checkpoints --log-format json
    --log-interval 1 --num-workers 0 --disable-validation --save-interval 1000""".split()


@pytest.fixture(scope="session")
def uneven(tiny, commands, fork_server, tmp_path_factory):
    """The folders of ``TASKS``, of texts from one sentence to ten."""
    folder = tmp_path_factory.mktemp("uneven")
    words = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt", "--max-tokens", "256"]
    articles = (tiny / "text.train.txt").read_text("utf-8").split("\n\n")[: 2 * len(SENTENCES)]
    sizes = SENTENCES * 2
    texts = [" ".join(re.findall(r"[^.?!]+[.?!]", a)[:n]).strip() for a, n in zip(articles, sizes, strict=True)]
    (folder / "text.txt").write_text("\n\n".join(texts) + "\n", "utf-8")
    prepare(["text", *words[:2], "--input", f"{folder}/text.txt", "--output", f"{folder}/symbols"])
    binarize = ["--only-source", "--srcdict", words[3], "--trainpref", f"{folder}/symbols", "--destdir"]
    assert fork_server.run([commands / "fairseq-preprocess", *binarize, folder / "text"]).returncode == 0

    def paragraph(n, text):
        answer = {"text": text.split()[0], "answer_start": 0}
        return {"context": text, "qas": [{"id": f"{n}", "question": "How does it begin?", "answers": [answer]}]}

    squad = [{"title": "", "paragraphs": [paragraph(n, text)]} for n, text in enumerate(texts)]
    (folder / "squad.json").write_text(json.dumps({"version": "", "data": squad}), "utf-8")
    own = ["--dataset", "squad", "--train", f"{folder}/squad.json", "--stride", "128"]
    prepare(["qa", *own, *words, "--destdir", f"{folder}/questions"])
    kinds = {"one": lambda n: {"label": "abc"[n % 3]}, "several": lambda n: {"labels": ["abc", "ab", "", "c"][n % 4]}}
    for kind, label in kinds.items():
        records = [{"id": f"{n}", "text": text} | label(n) for n, text in enumerate(texts)]
        records = [r | {"labels": list(r["labels"])} if "labels" in r else r for r in records]
        (folder / f"{kind}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
        prepare(["classification", "--train", f"{folder}/{kind}.jsonl", *words, "--destdir", f"{folder / kind}"])
    return folder


@pytest.fixture(scope="session")
def start(uneven, forks):
    """``start(precision, *arguments)``: in_precision.py in the folder of the data; ``status`` is what it returns."""
    script = Path(__file__).with_name("in_precision.py")

    def start(precision, *arguments, status=0):
        words = [sys.executable, script, precision, *arguments, "--user-dir", PACKAGE]
        done = forks.run(words, cwd=uneven)
        assert done.returncode == status, done.stdout[-2000:] + done.stderr[-4000:]
        return done

    return start


@pytest.fixture(scope="session")
def trained(start, tmp_path_factory):
    """``trained(name, options)``: the checkpoint of a run in float32; a teacher, or slopes to begin with."""
    made = {}

    def trained(name, options):
        if name not in made:
            folder = tmp_path_factory.mktemp("trained")
            start("fp32", *options, *TRAINING, "--max-update", 5, "--save-dir", folder)
            made[name] = folder / "checkpoint_last.pt"
        return made[name]

    return trained


@pytest.fixture(scope="session")
def beginning(trained):
    """``beginning(task)``: what its command line names besides: a teacher, or a model of large slopes."""

    def beginning(task):
        own = TASKS[task].split()
        if task.endswith("distilled"):
            other = ["--criterion", "masked_lm" if "masked_lm" in TASKS[task] else "recurring_span_selection"]
            cut = own.index("--criterion")
            return ["--teacher-path", trained(task, [*own[:cut], *other, *TEACHER])]
        if task.endswith("slopes of 100"):
            path = trained(task, [*own, *MODEL])
            state = torch.load(path, weights_only=True)
            for name, tensor in state["model"].items():
                if name.endswith(("beta", "gamma")):
                    tensor.copy_(torch.tensor([8.0, 100.0]))
            torch.save(state, path)
            return ["--finetune-from-model", path]
        return []

    return beginning


def losses(done):
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    records = [line.split("| train_inner | ", 1)[1] for line in lines if "| train_inner | {" in line]
    return [float(json.loads(record)["loss"]) for record in records]


def overflows(done):
    """How often a scaler saw a gradient that is not finite."""
    return len(re.findall("gradient overflow detected|AMP: overflow detected", done.stdout))


def parameters(path):
    return torch.load(path, weights_only=True)["model"]


@pytest.mark.parametrize(("task", "precision"), RUNS)
def test_losses_and_parameters_stay_finite(start, beginning, request, tmp_path, task, precision):
    data, *own = TASKS[task].split()
    if data.endswith("/"):
        data = request.getfixturevalue("prepared")(data[:-1], 256)  # skips without real data
    done = start(
        precision, data, *own, *beginning(task), *MODEL, *TRAINING, "--max-update", UPDATES, "--save-dir", tmp_path
    )
    found = losses(done)
    state = parameters(tmp_path / "checkpoint_last.pt")
    assert len(found) == UPDATES and all(map(math.isfinite, found)), found
    assert all(tensor.isfinite().all() for tensor in state.values())
    assert {tensor.dtype for tensor in state.values()} <= {torch.float32, torch.bfloat16, torch.float16}
    first, last = (sum(part) / len(part) for part in (found[: UPDATES // 4], found[-UPDATES // 4 :]))
    assert last < first
    if LONG:
        ten = [sum(part) / 10 for part in (found[:10], found[-10:])]
        print(f"\n| {task} | {precision} | {ten[0]:.2f} | {ten[1]:.2f} | {overflows(done)} |")


def test_bf16_of_the_command_line_is_bfloat16_where_there_is_no_tpu(uneven, forks, commands, tmp_path):
    """fairseq alone takes it for a TPU, and ends with a traceback."""
    data, *own = TASKS["masked LM"].split()
    words = [*own, *MODEL, *TRAINING, "--user-dir", PACKAGE, "--bf16", "--cpu", "--max-update", 2]
    done = forks.run([commands / "fairseq-train", data, *words, "--save-dir", tmp_path], cwd=uneven)
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(losses(done)) == 2
    state = parameters(tmp_path / "checkpoint_last.pt")  # fairseq writes float32, whatever it computes in
    assert all(tensor.equal(tensor.to(torch.bfloat16).to(tensor.dtype)) for tensor in state.values())


def test_a_scale_that_is_too_large_comes_down_and_nothing_is_lost(start, tmp_path):
    """Gradients past float16 are reported, their updates left out, and the scale is halved until they fit."""
    data, *own = TASKS["recurring spans"].split()
    scale = ["--fp16-init-scale", 2**28, "--max-update", 4, "--save-dir", tmp_path]
    done = start("fp16", data, *own, *MODEL, *TRAINING, *scale)
    assert overflows(done) > 3 and len(losses(done)) == 4
    assert all(tensor.isfinite().all() for tensor in parameters(tmp_path / "checkpoint_last.pt").values())


def test_a_model_that_explodes_ends_the_run_and_its_parameters_stay_finite(start, tmp_path):
    data, *own = TASKS["recurring spans"].split()
    exploding = ["--lr", 1e4, "--max-update", 50, "--save-dir", tmp_path]
    done = start("fp16", data, *own, *MODEL, *TRAINING, *exploding, status=1)
    assert overflows(done) > 3 and "FloatingPointError: Minimum loss scale reached" in done.stderr
    assert all(tensor.isfinite().all() for tensor in parameters(tmp_path / "crash.pt").values())
