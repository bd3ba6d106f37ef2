"""A recipe on a few records of HotpotQA, from the file to its scores; the settings of all."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from helpers.dna import random_bases, write_fasta
from helpers.processes import environment_with

from fairseq_littlebird.cli.warm_start import main as warm_start
from fairseq_littlebird.text.html import TOKENS

ROOT = Path(__file__).resolve().parents[2]
DATA_SETS = sorted(file.stem for file in (ROOT / "configs" / "data_set").glob("*.yaml"))
RECIPES = [*DATA_SETS, "classification"]


def recipe(
    name: str, *arguments: object, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    words = [str(ROOT / "scripts" / f"{name}.sh"), *map(str, arguments)]
    environment = environment or dict(os.environ)
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)


def commands(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The commands that a run printed."""
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [shlex.split(line[2:]) for line in done.stdout.splitlines() if line.startswith("+ ")]


def value(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """A folder with the names that a recipe looks for."""
    folder = tmp_path / "student of mine"
    folder.mkdir()
    (folder / "checkpoint.pt").touch()
    (folder / "dict.txt").write_text("".join(f"{word} 0\n" for word in ["the", *(f"<{tag}>" for tag in TOKENS)]))
    (folder / "model.args").write_text("--arch littlebird_tiny --pack-size 8\n")
    return folder


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("genomics", "--fasta genome.fa --bed sites.bed"),
        ("glue", "--glue glue --model student"),
        ("hotpotqa", "--train *.json --dev a.json --model student"),
        ("language_model", "--train *.json --valid a.json --phases a.json"),
        ("quality_data", "--data glue"),
        ("quickstart", "--data a.json --test b.json --text c.txt"),
        ("reuse", "--from student --text c.txt --valid c.txt"),
        ("summarization", "--train a.json --dev b.json"),
    ],
)
def test_a_recipe_reads_and_writes_in_the_folder_it_was_called_from(name, given, tmp_path):
    """It goes no further than to the folder to write, where somebody's file is, or to a task that is not there."""
    (tmp_path / "glue").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    for file in ("genome.fa", "sites.bed", "a.json", "b.json", "c.txt"):
        (tmp_path / file).write_text("{}\n")
    (tmp_path / "student").mkdir()
    for file in ("checkpoint.pt", "dict.txt", "model.args", "config.json"):
        (tmp_path / "student" / file).touch()
    command = f"{ROOT}/scripts/{name}.sh {given} --out taken"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    named = f"{tmp_path}/glue/CoLA" if name == "glue" else f"{tmp_path}/taken"
    assert done.returncode == 2 and f": {named}: " in done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("given", [["--smoke", "--updates", 7], ["--updates", 7, "--smoke"]])
def test_an_option_counts_instead_of_those_of_a_smoke_test(given, tmp_path):
    (tmp_path / "x.fa").write_text(">x\nACGT\n")
    files = ["--fasta", tmp_path / "x.fa", "--positives", tmp_path / "x.fa", "--out", tmp_path / "out"]
    trainings = [
        command for command in commands(recipe("genomics", *files, "--dry-run", *given)) if "--max-update" in command
    ]
    assert [value(command, "--max-update") for command in trainings] == ["20", "7"]


def test_hotpotqa(environment, bert, data_dir, tmp_path):
    warm_start(["--from", f"{bert}", "--out", f"{tmp_path}/student", "--pack-size", "8", "--block-size", "16"])
    records = json.loads((data_dir / "hotpotqa" / "distractor_100.json").read_text("utf-8"))
    (tmp_path / "train.json").write_text(json.dumps(records[:6]), "utf-8")
    (tmp_path / "dev.json").write_text(json.dumps(records[6:9]), "utf-8")
    out = tmp_path / "out"
    given = ["--train", tmp_path / "train.json", "--dev", tmp_path / "dev.json", "--model", tmp_path / "student"]
    given += ["--out", out, "--updates", 2, "--batch-size", 2, "--update-freq", 1, "--", "--cpu"]
    done = recipe("hotpotqa", *given, environment=environment)
    names = ["littlebird-prepare", "fairseq-train", "littlebird-predict", "littlebird-evaluate"]
    assert [command[0] for command in commands(done)] == names
    assert "joint_f1" in done.stdout and "without a prediction" not in done.stderr
    state = torch.load(out / "trained" / "checkpoint_best.pt", weights_only=True)
    assert state["optimizer_history"][-1]["num_updates"] == 2
    assert state["model"]["encoder.pack"].shape == (8, 32)
    assert state["cfg"]["task"]["padding_insertion"] and state["cfg"]["dataset"]["batch_size"] == 2

    # the same command again trains no more, goes on where something is missing, and scores the same
    (out / "predictions" / "predictions.json").unlink()
    (out / "predictions").rename(tmp_path / "old")
    trained = (out / "trained" / "checkpoint_last.pt").stat().st_mtime_ns
    again = recipe("hotpotqa", *given, environment=environment)
    assert [command[0] for command in commands(again)] == names[2:]
    assert trained == (out / "trained" / "checkpoint_last.pt").stat().st_mtime_ns
    assert done.stdout.split("== Scores")[1].splitlines()[1:] == again.stdout.split("== Scores")[1].splitlines()[1:]
    other = recipe("hotpotqa", *given[:-2], "--lr", "1", environment=environment)
    assert other.returncode == 2 and "other arguments" in other.stderr


@pytest.mark.parametrize("name", DATA_SETS)
def test_settings_are_those_of_the_configuration(student, tmp_path, name):
    config = yaml.safe_load((ROOT / "configs" / "data_set" / f"{name}.yaml").read_text())
    given = ["--train", __file__, "--dev", __file__, "--model", student, "--out", tmp_path / "out", "--dry-run"]
    prepare, train, predict, evaluate = commands(recipe(name, *given, "--", "--fp16"))
    assert prepare[:2] == ["littlebird-prepare", "qa"] and value(prepare, "--dataset") == name
    assert value(prepare, "--max-tokens") == str(config["task"]["max_positions"])
    text = (ROOT / "configs" / "data_set" / f"{name}.yaml").read_text()
    assert f"--stride {value(prepare, '--stride')} " in text
    assert value(prepare, "--dict") == str(student / "dict.txt")
    assert value(train, "--batch-size") == str(config["dataset"]["batch_size"])
    assert int(value(train, "--update-freq")) == config["optimization"]["update_freq"][0] * 4
    assert float(value(train, "--lr")) == config["optimization"]["lr"][0]
    assert value(train, "--max-update") == str(config["optimization"]["max_update"])
    assert value(train, "--warmup-updates") == str(config["lr_scheduler"]["warmup_updates"])
    assert value(train, "--arch") == "littlebird_tiny" and value(train, "--pack-size") == "8"
    assert value(train, "--task") == "question_answering" and train[-1] == "--fp16"
    assert value(predict, "--path") == value(train, "--save-dir") + "/checkpoint_best.pt"
    assert value(evaluate, "--dataset") == name and value(evaluate, "--gold") == __file__
    assert not (tmp_path / "out").exists()


def test_several_files(student, tmp_path):
    """Shards are one split, and are scored as one folder; options of the user's count more than the recipe's."""
    for name in ("dev 0.json", "dev1.json"):
        (tmp_path / name).touch()
    given = ["--train", __file__, "--dev", tmp_path / "dev 0.json", tmp_path / "dev1.json", "--model", student]
    given += ["--out", tmp_path / "out", "--max-tokens", 512, "--stride", 256, "--max-answer-length", 99, "--dry-run"]
    for name, scored in (("korquad2", True), ("hotpotqa", False)):
        done = recipe(name, *given)
        if not scored:
            assert done.returncode == 2 and done.stderr == "hotpotqa: 2 --dev files; hotpotqa is scored on one\n"
            continue
        prepare, *_, evaluate = commands(done)
        at = prepare.index("--valid")
        assert prepare[at + 1 : at + 3] == [str(tmp_path / "dev 0.json"), str(tmp_path / "dev1.json")]
        assert value(prepare, "--max-tokens") == "512" and value(prepare, "--stride") == "256"
        assert value(prepare, "--max-answer-length") == "99"
        assert value(evaluate, "--gold") == str(tmp_path / "out" / "gold")


def test_classification(student, tmp_path):
    given = ["--train", __file__, "--dev", __file__, "--model", student / "checkpoint.pt", "--out", tmp_path / "out"]
    prepare, train, _, evaluate = commands(recipe("classification", *given, "--dry-run"))
    assert prepare[:2] == ["littlebird-prepare", "classification"] and "--stride" not in prepare
    assert value(train, "--task") == "littlebird_sentence_prediction"
    assert value(evaluate, "--gold") == str(tmp_path / "out" / "data" / "valid.gold.json")


@pytest.mark.parametrize(("to", "positions"), [("littlebird_seq2seq", False), ("led", True)])
def test_summarization(tmp_path, to, positions):
    given = ["--train", __file__, "--dev", __file__, "--from", tmp_path, "--to", to, "--max-tokens", 1000]
    more = ["--max-summary-tokens", 90, "--out", tmp_path / "out", "--beam", 2, "--dry-run", "--", "--fp16"]
    start, prepare, train, predict, evaluate = commands(recipe("summarization", *given, *more))
    assert value(start, "--to") == to and ("--max-positions" in start) == positions
    assert prepare[:2] == ["littlebird-prepare", "summarization"] and value(prepare, "--max-summary-tokens") == "90"
    assert value(train, "--task") == "summarization" and train[-1] == "--fp16"
    assert value(train, "--finetune-from-model") == f"{value(start, '--out')}/checkpoint.pt"
    assert ("--padding-insertion" in train) == (to == "littlebird_seq2seq")
    assert value(predict, "--beam") == "2" and value(predict, "--max-length") == "89"
    assert value(evaluate, "--predictions") == f"{value(predict, '--output')}/predictions.jsonl"
    text, tokenizer, prepare, train, *_ = commands(recipe("summarization", *given[:4], *given[6:], *more))
    assert text[1] == "scripts/documents_text.py" and value(text, "--out") == value(tokenizer, "--input")
    assert value(prepare, "--tokenizer") == value(tokenizer, "--destdir")
    assert "--finetune-from-model" not in train and ("--max-positions" in train) == positions
    assert value(train, "--arch") == f"{to}_base" and value(train, "--lr") == "5e-4"
    wrong = recipe("summarization", *given, "--to", "bert", "--out", tmp_path / "out")
    assert wrong.returncode == 2 and wrong.stderr == "summarization: --to bert: no such model; see --help\n"


def test_text_of_documents(tmp_path):
    """What a vocabulary is trained on: documents, then their summaries, a sentence a line."""
    lines = [{"document": "One.", "summary": ["A.", "B."]}, {"article": "Two."}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = [sys.executable, ROOT / "scripts" / "documents_text.py", "--input", tmp_path / "a.jsonl", "--out"]
    subprocess.run([*words, tmp_path / "text"], check=True, env=environment_with())
    assert (tmp_path / "text").read_text() == "One.\nA.\nB.\n\nTwo.\n\n\n"
    (tmp_path / "b.jsonl").write_text("{}\n")
    words[3] = tmp_path / "b.jsonl"
    done = subprocess.run([*words, tmp_path / "other"], capture_output=True, text=True, env=environment_with())
    assert done.returncode == 2 and "no 'document' here" in done.stderr and not (tmp_path / "other").exists()


def test_genomics(tmp_path):
    """Settings are those of the rows of table 21; promoters of a genome have tracks, those of a file have not."""
    configs = ROOT / "configs" / "table"
    given = ["--fasta", __file__, "--out", tmp_path / "out", "--dry-run", "--arch", "bigbird_itc_base"]
    tokenizer, dna, promoter, pretrain, train, predict, evaluate = commands(
        recipe("genomics", *given, "--bed", __file__, "--valid-chromosomes", "chr8", "chr9", "--", "--fp16")
    )
    assert value(tokenizer, "--alphabet") == "ACGTN" and value(tokenizer, "--vocab-size") == "32000"
    for prepare in (dna, promoter):
        assert value(prepare, "--tokenizer") == value(tokenizer, "--destdir")
    at = dna.index("--valid-chromosomes")
    assert dna[at + 1 : at + 4] == ["chr8", "chr9", "--passes"] and "--valid-share" not in dna
    assert dna[dna.index("--sentences") + 1 :][:2] == ["50", "100"] and value(promoter, "--upstream") == "5000"
    for command, row in ((pretrain, "pretraining"), (train, "promoter")):
        config = yaml.safe_load((configs / f"21_bigbird_{row}.yaml").read_text())
        assert float(value(command, "--lr")) == config["optimization"]["lr"][0]
        assert value(command, "--max-update") == str(config["optimization"]["max_update"])
        assert value(command, "--warmup-updates") == str(config["lr_scheduler"]["warmup_updates"])
        assert int(value(command, "--batch-size")) * int(value(command, "--update-freq")) == 256
        assert value(command, "--max-positions") == "4096" and command[-1] == "--fp16"
    assert value(train, "--finetune-from-model") == value(pretrain, "--save-dir") + "/checkpoint_best.pt"
    assert value(predict, "--bed").endswith("/promoters.bed") and "--reverse-complement" not in predict
    assert value(evaluate, "--gold") == value(promoter, "--destdir") + "/test.gold.json"

    done = commands(recipe("genomics", *given[:-2], "--positives", __file__, "--reverse-complement"))
    assert [command[1] for command in done if "--reverse-complement" in command][:2] == ["dna", "promoter"]
    assert "--reverse-complement" in done[-2] and "--bed" not in done[-2] and "--genome" not in done[2]
    assert all("--padding-insertion" in done[3] and value(done[n], "--optimizer") == "littlebird_adam" for n in (3, 4))
    for wrong, message in (
        ([], "--bed or --positives is missing"),
        (["--bed", __file__, "--positives", __file__], "give one of them"),
        (["--bed", tmp_path / "none"], "none: cannot be read"),
        (["--bed", __file__, "--sentences", "5"], "--sentences 5: not two positive whole numbers"),
    ):
        failed = recipe("genomics", *given, *wrong)
        assert failed.returncode == 2 and failed.stderr.startswith("genomics: ") and message in failed.stderr


@pytest.mark.slow
def test_genomics_runs(environment, tmp_path):
    """From a genome to scores, and its second call."""
    with (tmp_path / "genome.fa").open("w") as file:
        write_fasta(file, {f"chr{n}": random_bases(70_000, n) for n in range(3)})
    sites = [(n % 3, 500 + 600 * n, "+-"[n % 2]) for n in range(80)]
    (tmp_path / "x.bed").write_text("".join(f"{n}\t{at}\t{at + 1}\tP{at}\t0\t{sign}\n" for n, at, sign in sites))
    given = ["--fasta", tmp_path / "genome.fa", "--bed", tmp_path / "x.bed", "--out", tmp_path / "out", "--smoke"]
    given += ["--pretraining-updates", 3, "--updates", 2, "--workers", 1, "--reverse-complement", "--", "--cpu"]
    done = recipe("genomics", *given, environment=environment)
    assert len(commands(done)) == 7 and "sensitivity" in done.stdout
    rows = [line.split("\t") for line in (tmp_path / "out" / "promoters.bed").read_text().splitlines()]
    assert {row[0] for row in rows} <= {"chr0", "chr1", "chr2"} and len(rows) > 2
    again = recipe("genomics", *given, environment=environment)
    assert [command[0] for command in commands(again)] == ["littlebird-evaluate"]
    assert done.stdout.split("== Scores")[1].splitlines()[1:] == again.stdout.split("== Scores")[1].splitlines()[1:]


def test_seeds(student, tmp_path):
    """Each has a folder, and their scores are summed up."""
    given = ["--train", __file__, "--dev", __file__, "--model", student, "--out", tmp_path / "out", "--seeds", 2]
    prepare, *rest, summary = commands(recipe("classification", *given, "--dry-run"))
    trains = [command for command in rest if command[0] == "fairseq-train"]
    assert [value(train, "--seed") for train in trains] == ["1", "2"] and prepare[0] == "littlebird-prepare"
    folders = [tmp_path / "out" / f"seed-{seed}" for seed in (1, 2)]
    assert [value(train, "--save-dir") for train in trains] == [str(folder / "trained") for folder in folders]
    assert summary == ["python", "scripts/seed_scores.py", *(str(folder / "scores.json") for folder in folders)]


def test_glue(student, tmp_path):
    """Settings are those of the rows of table 16."""
    rows = {"MNLI": "mnli", "STS-B": "sts_b", "CoLA": "cola", "QQP": "qqp"}
    for name in rows:
        (tmp_path / "glue" / name).mkdir(parents=True)
    given = ["--glue", tmp_path / "glue", "--model", student, "--out", tmp_path / "out", "--submission", tmp_path / "s"]
    done = commands(recipe("glue", *given, "--tasks", *rows, "--dry-run"))
    trains = [command for command in done if command[0] == "fairseq-train"]
    for train, row in zip(trains, rows.values(), strict=True):
        config = yaml.safe_load((ROOT / "configs" / "table" / f"16_bigbird_{row}.yaml").read_text())
        assert float(value(train, "--lr")) == config["optimization"]["lr"][0]
        assert value(train, "--max-update") == str(config["optimization"]["max_update"])
        assert value(train, "--warmup-updates") == str(config["lr_scheduler"]["warmup_updates"])
        assert value(train, "--batch-size") == str(config["dataset"]["batch_size"])
        assert value(train, "--best-checkpoint-metric") == config["checkpoint"]["best_checkpoint_metric"]
    splits = [value(command, "--gen-subset") for command in done if command[0] == "littlebird-predict"]
    assert splits[:4] == ["valid", "valid1", "test", "test1"] and len(splits) == 4 + 3 * 2
    wrong = recipe("glue", *given, "--tasks", "WNLI", "--dry-run")
    assert wrong.returncode == 2 and "no such task" in wrong.stderr


STAND_IN = """#!/bin/bash
# makes what it is told to write; with FULL set littlebird-predict ends when its folder is there
last=
for word in "$@"; do
    case $last in
        --destdir | --output | --save-dir) mkdir -p "$word" ;;
        --bed | --bedgraph | --glue-submission)
            [ "${0##*/}" != littlebird-predict ] || [ -z "${FULL:-}" ] || exit 2
            [ "${0##*/}" != littlebird-predict ] || { mkdir -p "$(dirname "$word")" && touch "$word"; } ;;
    esac
    last=$word
done
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder of scripts whose commands write files without content."""
    folder, bin = tmp_path / "copy", tmp_path / "bin"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "scripts" / "environment.sh").write_text("")
    bin.mkdir()
    for name in ("littlebird-prepare", "littlebird-predict", "littlebird-evaluate", "fairseq-train", "python"):
        (bin / name).write_text(STAND_IN)
        (bin / name).chmod(0o755)
    return folder / "scripts"


def called(script: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{script.parents[2] / 'bin'}{os.pathsep}{os.environ['PATH']}"
    words = [str(script), *map(str, arguments)]
    return subprocess.run(
        words, env=os.environ | variables | {"PATH": path}, capture_output=True, text=True, timeout=60
    )


def test_genomics_goes_on_where_tracks_were_not_written(written, tmp_path):
    given = [written / "genomics.sh", "--fasta", __file__, "--bed", __file__, "--out", tmp_path / "out"]
    assert called(*given, FULL="yes").returncode == 2 and (tmp_path / "out" / "predictions").exists()
    again, third = (commands(called(*given)) for _ in range(2))
    assert [command[0] for command in again] == ["littlebird-predict", "littlebird-evaluate"]
    assert (tmp_path / "out" / "promoters.bedGraph").exists()
    assert [command[0] for command in third] == ["littlebird-evaluate"]


def test_glue_goes_on_where_the_submission_was_not_written(written, student, tmp_path):
    (tmp_path / "glue" / "RTE").mkdir(parents=True)
    given = [written / "glue.sh", "--glue", tmp_path / "glue", "--model", student, "--out", tmp_path / "out"]
    given += ["--tasks", "RTE", "--submission"]
    splits = []
    for folder, full in (("a", "yes"), ("a", ""), ("a", ""), ("b b", "")):
        done = called(*given, tmp_path / folder, FULL=full)
        assert done.returncode == (2 if full else 0), done.stderr
        lines = [shlex.split(line[2:]) for line in done.stdout.splitlines() if line.startswith("+ littlebird-predict")]
        splits.append([value(line, "--gen-subset") for line in lines])
    assert splits == [["valid", "test"], ["test"], [], ["test"]] and (tmp_path / "b b").exists()


@pytest.mark.parametrize(
    ("more", "same"),
    [([], True), (["--seeds", "2"], True), (["--updates", "7"], False), (["--max-tokens", "64"], False)],
)
def test_glue_with_other_arguments(written, student, tmp_path, more, same):
    """More seeds and tasks go on; other settings would be those of a training that is not made again."""
    for name in ("RTE", "CoLA"):
        (tmp_path / "glue" / name).mkdir(parents=True)
    given = [written / "glue.sh", "--glue", tmp_path / "glue", "--model", student, "--out", tmp_path / "out"]
    assert called(*given, "--tasks", "RTE").returncode == 0
    done = called(*given, "--tasks", "RTE", "CoLA", *more)
    assert done.returncode == (0 if same else 2)
    assert same or done.stderr.endswith("RTE: from a run with other arguments; choose another folder with --out\n")


def test_seed_scores(tmp_path):
    for seed, accuracy in ((1, 0.5), (2, 0.75), (3, 1.0)):
        (tmp_path / f"{seed}.json").write_text(json.dumps({"accuracy": accuracy, "by_length": []}))
    words = [
        sys.executable,
        str(ROOT / "scripts" / "seed_scores.py"),
        *(str(tmp_path / f"{n}.json") for n in (1, 2, 3)),
    ]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, check=True, env=with_package())
    assert json.loads(done.stdout) == {"accuracy": {"mean": 0.75, "deviation": 0.25, "median": 0.75}}
    for content in ("{}", "[1]", "1"):
        (tmp_path / "2.json").write_text(content)
        done = subprocess.run(words, capture_output=True, text=True, env=with_package())
        assert done.returncode == 2 and done.stderr.endswith("littlebird-evaluate --json printed\n")


def with_package() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_a_model_without_its_options(student, tmp_path):
    (student / "model.args").unlink()
    given = ["--train", __file__, "--dev", __file__, "--model", student, "--out", tmp_path / "out", "--dry-run"]
    assert value(commands(recipe("hotpotqa", *given))[1], "--arch") == "littlebird_base"
    # the checkpoint of a later training lies elsewhere
    (tmp_path / "later.pt").touch()
    train = commands(recipe("hotpotqa", *given, "--model", tmp_path / "later.pt", "--student", student))[1]
    assert value(train, "--finetune-from-model") == str(tmp_path / "later.pt")


@pytest.mark.parametrize("name", [*RECIPES, "question_answering", "genomics"])
def test_help(name):
    done = recipe(name, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: scripts/{name}.sh ")
    assert ("--dataset" in done.stdout) == (name == "question_answering")  # a recipe's own is fixed


def test_bad_arguments_are_one_line(student, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    (tmp_path / "plain").mkdir()
    for name in ("checkpoint.pt", "dict.txt"):
        (tmp_path / "plain" / name).touch()
    good = ["--train", __file__, "--dev", __file__, "--model", student, "--out", tmp_path / "out"]
    cases = [[], ["--what", "x"], ["--train"], ["--train", "--dev", __file__], [*good, "--updates", "0"],
             [*good, "--stride", "4k"], [*good, "--dataset", "bioasq"], [*good, "--dev", tmp_path / "none.json"],
             [*good, "--model", tmp_path / "none"], [*good, "--model", tmp_path / "mine" / "thesis.txt"],
             [*good, "--student", tmp_path / "mine"], [*good, "--out", tmp_path / "mine"],
             [*good, "--model", tmp_path / "plain"]]  # fmt: skip
    for arguments in cases:
        done = recipe("korquad2", *arguments)
        assert done.returncode == 2 and done.stderr.startswith("korquad2: ") and len(done.stderr.splitlines()) == 1
    assert "lacks <h1>" in done.stderr and "--html-tags" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "plain", "student of mine"]
