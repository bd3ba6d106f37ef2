"""Architectures trained alike: the file, the order, the commands, the figures and the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from fairseq_littlebird.benchmarks import quality
from fairseq_littlebird.benchmarks.quality import Quality, Run, as_options, markdown, perform, read, runs, steps
from fairseq_littlebird.errors import UserError

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs" / "quality").glob("*.yaml"))
EVERY = [path for path in CONFIGS if path.stem != "hotpotqa"]  # that one is about global tokens alone
FILES = [f"{part}={__file__}" for part in ("text", "questions", "gold")]
TWO = {"LittleBird": {"arch": "littlebird_tiny", "lr": 0.5}, "full": {"arch": "roberta_full_tiny"}}


@pytest.fixture
def compared(tmp_path):
    settings = {"training": {"lr": 0.1, "no_save": True}, "question_answering": {"span_head": "qass", "fp16": False}}
    return Quality(f"{tmp_path}", "text-bin", "qa", "gold.json", architectures=TWO, **settings)


def value(command, option):
    return [word for at, word in enumerate(command[1:]) if command[at] == option][-1]


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_the_files_are_fair(path):
    """All architectures of the comparison, each with options of its own shape alone."""
    found = read(path, FILES)
    assert {options["arch"] for options in found.architectures.values()} == {
        f"{family}_tiny" for family in ("littlebird", "bigbird_itc", "bigbird_etc", "longformer", "roberta_full")
    }
    assert set().union(*found.architectures.values()) <= {"arch", "max_positions", "global_tokens"}
    assert found.span_selection["max_update"] == found.span_selection["total_num_update"]
    lengths = {options["max_positions"] for options in found.architectures.values() if "max_positions" in options}
    assert lengths == {found.span_selection["tokens_per_sample"] + 2}
    comment = path.read_text()
    assert f"--config configs/quality/{path.name} " in comment
    assert f"--out {found.out.rpartition('/')[0]}\n" in comment


def test_the_file_about_global_tokens_has_the_same_model_with_and_without_structure():
    (path,) = set(CONFIGS) - set(EVERY)
    found = read(path, FILES)
    evenly, structured = (found.architectures[f"ETC, {how}"] for how in ("evenly", "structured"))
    assert structured == evenly | {"structured_input": True} and found.dataset == "hotpotqa"
    assert found.question_answering["max_update"] == found.question_answering["total_num_update"]
    assert f"--config configs/quality/{path.name}" in path.read_text()


def test_without_text_questions_are_learned_from_nothing(compared):
    compared.text = ""
    training, answers, scores = (step.command_line for step in steps(compared, Run("full", 1)))
    assert training[:2] == ["fairseq-train", "qa"] and "--finetune-from-model" not in training
    assert (answers[0], scores[0]) == ("littlebird-predict", "littlebird-evaluate")


def test_figures_of_evidence_are_percentages(compared, tmp_path, monkeypatch):
    compared.text = ""
    done = steps(compared, Run("full", 1))
    logs = [
        "num. shared model params: 1,234 (num. trained: 1,234)",
        "",
        json.dumps({"em": 0.25, "f1": 0.5, "sp_f1": 0.75}),
    ]
    for step, log in zip(done, logs, strict=True):
        step.log.parent.mkdir(parents=True, exist_ok=True)
        step.log.write_text(log)
    monkeypatch.setattr(quality.Step, "seconds", lambda self: 60.0)
    found = quality.figures(done)
    assert found == {"parameters": 1234, "exact": 25.0, "f1": 50.0, "evidence": 75.0, "minutes": 1.0}
    assert markdown(compared, {run.key: found for run in runs(compared)}).splitlines()[0] == (
        "| architecture | parameters | EM | F1 | evidence F1 | minutes |"
    )


def test_seeds_come_in_turn(compared):
    assert [run.key for run in runs(compared)] == ["LittleBird/1", "full/1", "LittleBird/2", "full/2"]


def test_the_commands_of_a_run(compared, tmp_path):
    first, accuracy, second, answers, scores = (step.command_line for step in steps(compared, Run("LittleBird", 2)))
    folder = tmp_path / "runs" / "LittleBird-2"
    checkpoint = str(folder / "span_selection" / "checkpoint_last.pt")
    assert first[:2] == ["fairseq-train", "text-bin"] and second[:2] == ["fairseq-train", "qa"]
    for command in (first, second):
        assert (value(command, "--arch"), value(command, "--seed")) == ("littlebird_tiny", "2")
        assert value(command, "--lr") == "0.5" and "--no-save" in command and "--fp16" not in command
    assert "--span-head" in second and "--span-head" not in first
    assert value(second, "--finetune-from-model") == checkpoint == value(accuracy, "--path")
    assert value(answers, "--path") == str(folder / "question_answering" / "checkpoint_last.pt")
    assert value(scores, "--gold") == "gold.json"
    others = [step.command_line for step in steps(compared, Run("full", 2))]
    assert value(others[0], "--lr") == "0.1" and others[0] != first


def test_options_of_a_command_line():
    given = {"max_update": 3, "cpu": True, "fp16": False, "lr": 1e-3, "betas": "(0.9, 0.98)", "none": None}
    assert as_options(given) == ["--max-update", "3", "--cpu", "--lr", "0.001", "--betas", "(0.9, 0.98)"]


@pytest.mark.parametrize(
    "change, message",
    [
        (["seeds=[x]"], "a.yaml, seeds.*: Value 'x'"),
        (["oops=1"], "a.yaml, oops: Key 'oops' not in"),
        (["architectures.one.arch=nobody_tiny"], "one has no such arch: nobody_tiny"),
        (["text=/nowhere"], "/nowhere: not there; make it first"),
        ([], "a.yaml: out is not given"),
    ],
)
def test_bad_settings_are_one_line(tmp_path, change, message):
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump({"architectures": TWO}))
    assert read(path, [*FILES, "out=x"]).architectures == TWO
    change = [*FILES, *([*change, "out=x"] if change else [])]
    with pytest.raises(UserError, match=message) as raised:
        read(path, change)
    assert "\n" not in str(raised.value)
    path.write_text("a: [")
    with pytest.raises(UserError, match="a.yaml"):
        read(path, FILES)


def figures(exact):
    return {"parameters": 1_234_567, "accuracy": 10.0, "exact": exact, "f1": 50.0, "minutes": 1.25}


def test_the_table_has_means_and_ranges(compared):
    results = {run.key: figures(n) for n, run in enumerate(runs(compared), 1)}
    assert markdown(compared, results).splitlines() == [
        "| architecture | parameters | RSS accuracy | EM | F1 | minutes |",
        "|---|---|---|---|---|---|",
        "| LittleBird | 1,234,567 | 10.0 (10.0 – 10.0) | 2.0 (1.0 – 3.0) | 50.0 (50.0 – 50.0) | 1.2 (1.2 – 1.2) |",
        "| full | 1,234,567 | 10.0 (10.0 – 10.0) | 3.0 (2.0 – 4.0) | 50.0 (50.0 – 50.0) | 1.2 (1.2 – 1.2) |",
    ]
    compared.seeds = [2]
    assert "| LittleBird | 1,234,567 | 10.0 | 3.0 | 50.0 | 1.2 |" in markdown(compared, results)


def test_a_run_that_fails_does_not_stop_the_others(compared, monkeypatch):
    def run(step, threads):
        if "full-1" in str(step.folder):
            raise UserError("no room")

    monkeypatch.setattr(quality.Step, "run", run)
    monkeypatch.setattr(quality, "figures", lambda all_steps: figures(1))
    with pytest.raises(UserError, match="1 of 4 runs failed, the first: no room"):
        perform(compared, jobs=2, threads=1)
    kept = json.loads((Path(compared.out) / "results.json").read_text())
    assert sorted(kept) == ["LittleBird/1", "LittleBird/2", "full/2"]
