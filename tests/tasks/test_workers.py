"""Two workers equal one with twice the batches, for every task, criterion, head and kind of data.

Each side trains all cases one after another in one process a worker; a test looks at what one case left behind.
"""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.processes import environment_with

from fairseq_littlebird.cli.prepare import main as prepare

WORKER = Path(__file__).with_name("workers.py")
ROOT = Path(__file__).resolve().parents[2]
# into the second epoch of most; what is unread, pytorch_ddp finds in the second update
UPDATES = {"one": 6, "legacy_ddp": 6, "pytorch_ddp": 4, "fully_sharded": 4}
SIZES = """--encoder-layers 2 --encoder-embed-dim 16 --encoder-ffn-embed-dim 24 --encoder-attention-heads 2
    --dropout 0 --attention-dropout 0""".split()
TRAINING = """--optimizer adam --lr 1e-3 --batch-size 4 --no-epoch-checkpoints --no-save-optimizer-state --num-workers 0
    --log-format none --disable-validation""".split()
LITTLEBIRD = "--arch littlebird_tiny --pack-size 4 --block-size 16"
LM = "text --tokens-per-sample 128 --task"
SPANS = f"{LM} recurring_span_selection --sample-break-mode complete --shorten-method truncate"
QA = "--task question_answering --criterion question_answering"
CLASSES = "--task littlebird_sentence_prediction --criterion"
DISTILLED = "--criterion littlebird_distillation --teacher-path teacher"
SUMMARIES = "summaries --task summarization --criterion label_smoothed_cross_entropy --label-smoothing 0.1"
ETC = "--arch bigbird_etc_tiny --global-tokens 6 --local-radius 8"
CASES = {
    "littlebird_masked_lm": f"{LM} littlebird_masked_lm --criterion masked_lm --padding-insertion {LITTLEBIRD}",
    "recurring spans": f"{SPANS} --criterion recurring_span_selection --padding-insertion {LITTLEBIRD}",
    "distilled words": f"{LM} littlebird_masked_lm {DISTILLED}/littlebird_masked_lm --hard-weight 1 "
    f"--padding-insertion {LITTLEBIRD}",
    "distilled words, attention alone": f"{LM} littlebird_masked_lm {DISTILLED}/littlebird_masked_lm "
    f"--soft-weight 0 {LITTLEBIRD}",
    "distilled spans": f"{SPANS} {DISTILLED}/recurring_span_selection {LITTLEBIRD}",
    "questions": f"questions {QA} --padding-insertion {LITTLEBIRD}",
    "questions, qass": f"questions {QA} --span-head qass --unanswered-windows 0.5 {LITTLEBIRD}",
    "hotpotqa": f"hotpotqa {QA} --padding-insertion {LITTLEBIRD}",
    "natural_questions": f"natural_questions {QA} --windows-per-question 3 {LITTLEBIRD}",
    "triviaqa": f"triviaqa {QA} --windows-per-question 3 {LITTLEBIRD}",
    "wikihop": f"wikihop {QA} {LITTLEBIRD}",
    "sentence_prediction": "classes --task sentence_prediction --criterion sentence_prediction --num-classes 2 "
    f"--init-token 0 --required-batch-size-multiple 1 {LITTLEBIRD}",
    "one label": f"one {CLASSES} littlebird_classification --class-weights 1,1,2 --padding-insertion {LITTLEBIRD}",
    "several labels of pairs": f"several {CLASSES} littlebird_classification --padding-insertion {LITTLEBIRD}",
    "numbers": f"numbers {CLASSES} sentence_prediction --regression-target --num-classes 1 {LITTLEBIRD}",
    "no pack": f"{LM} littlebird_masked_lm --criterion masked_lm --arch littlebird_tiny --pack-size 0",
    "bigbird_etc, hotpotqa": f"hotpotqa {QA} {ETC}",
    "summarization, LED": f"{SUMMARIES} --arch led_tiny --attention-window 16 --max-positions 64",
    "summarization, LittleBird": f"{SUMMARIES} --padding-insertion {LITTLEBIRD.replace('_tiny', '_seq2seq_tiny')}",
    "summarization, BigBird-RoBERTa": f"{SUMMARIES} --arch bigbird_roberta_tiny --block-size 4 --max-positions 64 "
    "--decoder-max-positions 32",
    "summarization, BigBird-Pegasus": f"{SUMMARIES} --arch bigbird_pegasus_tiny --block-size 4 --max-positions 64",
}
EXACT = {"rtol": 1e-6, "atol": 1e-6}
WORDS = {"night": "night train clock tower", "river": "river port old harbour", "mine": "salt mine paper mill"}


@pytest.fixture(scope="module")
def data(tiny, teacher, data_dir, in_simplified_format, tmp_path_factory):
    """A folder with the folders that the cases name."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("text", "questions", "classes"):
        (folder / name).symlink_to(tiny / name)
    (folder / "teacher").mkdir()
    for task in ("littlebird_masked_lm", "recurring_span_selection"):
        (folder / "teacher" / task).symlink_to(teacher(task))
    words = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt"]
    rng = random.Random(0)
    for kind in ("one", "several"):
        records = []
        for n in range(40):
            labels = [label for label in WORDS if rng.random() < 0.4] if kind == "several" else [[*WORDS][n % 3]]
            texts = [" ".join(rng.choices([*"the a of".split(), *" ".join(WORDS.values()).split()], k=9)) for _ in "ab"]
            own = {"labels": labels, "text2": texts[1]} if kind == "several" else {"label": labels[0]}
            records.append({"text": f"{texts[0]}."} | own)
        path = folder / f"{kind}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        prepare(["classification", "--train", f"{path}", *words, "--max-tokens", "64", "--destdir", f"{folder / kind}"])
    summarized = [{"document": line["text"] * 2, "summary": line["text"]} for line in records]
    path = folder / "summaries.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in summarized))
    sizes = ["--max-tokens", "60", "--max-summary-tokens", "16"]
    prepare(["summarization", "--train", f"{path}", *words, *sizes, "--destdir", f"{folder / 'summaries'}"])
    shutil.copytree(tiny / "classes" / "input0", folder / "numbers" / "input0")
    (folder / "numbers" / "label").mkdir()
    lines = (tiny / "label.train").read_text().splitlines()
    (folder / "numbers" / "label" / "train.label").write_text("".join(f"{rng.random():.3f}\n" for _ in lines))

    shutil.unpack_archive(data_dir / "triviaqa" / "triviaqa-sample.tgz", folder / "trivia")
    records = json.loads((data_dir / "hotpotqa" / "distractor_100.json").read_text("utf-8"))
    (folder / "hotpotqa.json").write_text(json.dumps(records[4:20]))
    lines = (data_dir / "tydiqa" / "tiny_dev.jsonl").read_text("utf-8").splitlines()
    simplified = [json.dumps(in_simplified_format(json.loads(line))) for line in lines]
    (folder / "natural.jsonl").write_text("".join(f"{line}\n" for line in simplified))
    files = {
        "hotpotqa": (folder / "hotpotqa.json", 256),
        "natural_questions": (folder / "natural.jsonl", 512),
        "triviaqa": (folder / "trivia" / "qa" / "wikipedia-dev.json", 128),
        "wikihop": (data_dir / "wikihop" / "sample.json", 512),
    }
    for name, (path, length) in files.items():
        sizes = ["--max-tokens", str(length), "--stride", str(length // 2), "--destdir", f"{folder / name}"]
        prepare(["qa", "--dataset", name, "--train", f"{path}", *words, *sizes])
    return folder


@pytest.fixture(scope="module")
def trained(data, forks, tmp_path_factory):
    """``trained(kind)``: the folder where all cases were trained by ``one`` worker, or by two with a DDP backend."""
    made = {}

    def run(kind):
        if kind in made:
            return made[kind]
        folder = made[kind] = tmp_path_factory.mktemp(kind)
        backend = ["--update-freq", "2"] if kind == "one" else ["--ddp-backend", kind, "--find-unused-parameters"]
        # one accelerator is enough for two workers that meet through gloo
        accelerator = torch.cuda.is_available() and kind in ("pytorch_ddp", "fully_sharded")
        backend += ["--distributed-backend", "gloo"] if accelerator and torch.cuda.device_count() < 2 else []
        cases = [
            {"words": [*case.split(), *SIZES, *TRAINING, *backend, *([] if accelerator else ["--cpu"]),
                       "--max-update", str(UPDATES[kind]), "--save-dir", f"{folder / name}"]}
            for name, case in CASES.items()
        ]  # fmt: skip
        (folder / "cases.json").write_text(json.dumps(cases))
        workers, port = [], free_port()
        for rank in range(1 if kind == "one" else 2):
            settings = {}
            if kind != "one":
                own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
                settings = {"MASTER_ADDR": "127.0.0.1"} | {name: str(value) for name, value in own.items()}
            log = folder / f"log{rank}"
            log.touch()
            command = [sys.executable, WORKER, folder / "cases.json"]
            workers.append(forks.start(command, log, log, data, environment_with(settings)))
        try:
            while all(worker.poll() is None for worker in workers):
                try:
                    workers[0].wait(timeout=1)
                except subprocess.TimeoutExpired:
                    continue
            for worker in workers:
                if all(other.poll() in (None, 0) for other in workers):
                    worker.wait(timeout=60)
        finally:
            for worker in workers:
                worker.kill()
        return folder

    return run


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def left(folder, name, rank=0):
    """The parameters, the ids of each update and the losses of a case."""
    if not (folder / f"{name}.{rank}.json").exists():
        pytest.fail("\n".join(log.read_text()[-3000:] for log in folder.glob("log*")))
    model = torch.load(folder / name / "checkpoint_last.pt", weights_only=True)["model"]
    return model, json.loads((folder / f"{name}.{rank}.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_two_workers_equal_one(trained, name):
    one, alone = left(trained("one"), name)
    two, together = left(trained("legacy_ddp"), name)
    other = left(trained("legacy_ddp"), name, rank=1)[1]
    assert len(alone["ids"]) == UPDATES["one"]
    assert [a + b for a, b in zip(together["ids"], other["ids"], strict=True)] == alone["ids"]
    assert together["losses"] == alone["losses"]
    for parameter in one:
        torch.testing.assert_close(two[parameter], one[parameter], **EXACT)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("summarization")])
def test_every_parameter_of_an_encoder_decoder_has_a_gradient(trained, name):
    """But what is added to all keys alike, which changes no softmax."""
    for rank in (0, 1):
        unread = left(trained("legacy_ddp"), name, rank)[1]["unread"]
        assert [parameter for parameter in unread if not parameter.endswith("pack_attention.k.bias")] == []


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_unread_with_pytorch_ddp(trained, name):
    """And the losses are the same, of which the later follow from the gradients of those before."""
    equal_losses(trained, "pytorch_ddp", name)


@pytest.mark.skipif(
    torch.cuda.device_count() < 2 or importlib.util.find_spec("fairscale") is None,
    reason="needs two accelerators and fairscale",
)
@pytest.mark.parametrize("name", CASES)
def test_fully_sharded(trained, name):
    equal_losses(trained, "fully_sharded", name)


def equal_losses(trained, kind, name):
    alone, together = (left(trained(kind), name)[1]["losses"] for kind in ("one", kind))
    wanted = alone[: UPDATES[kind]]
    # "one" is on the CPU
    assert together == (pytest.approx(wanted, abs=5e-3) if torch.cuda.is_available() else wanted)
