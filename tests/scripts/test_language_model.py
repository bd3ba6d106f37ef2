"""Staged training of a language model: the phases' file, and a real run that is cut and goes on."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from fairseq_littlebird.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs" / "language_model"
PHASE = {"attention_window": "4-8", "tokens_per_sample": 32, "lr": 0.01, "updates": 3, "batch_size": 2}


@pytest.fixture(scope="session")
def phases(script) -> ModuleType:
    return script("scripts/phases.py")


def recipe(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    words = [str(ROOT / "scripts" / "language_model.sh"), *map(str, arguments)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)


def commands(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [shlex.split(line[2:]) for line in done.stdout.splitlines() if line.startswith("+ ")]


def value(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def written(path: Path, *phases: dict[str, Any], **more: Any) -> Path:
    content = {"arch": "longformer_lm_tiny", "options": ["--decoder-layers", 2], "phases": [*phases]} | more
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


# table 12: the paper's lengths, learning rates, batches, updates and warmup
LENGTHS, RATES = (2048, 4096, 8192, 16384, 23040), [2.5e-4 / 2**n for n in range(5)]
BATCHES = (32, 32, 16, 16, 16)
UPDATES = {"small": (430000, 50000, 50000, 35000, 5000), "large": (350000, 25000, 10000, 5000, 5000)}
# how many layers have each dilation on two of their heads
DILATIONS = {"small": {1: 6, 2: 2, 3: 2, 4: 2}, "large": {1: 15, 2: 5, 3: 5, 4: 5}}


@pytest.mark.parametrize("size", UPDATES)
def test_the_papers_phases(phases: ModuleType, size: str) -> None:
    found = [phase.settings for phase in phases.read(CONFIGS / f"longformer_lm_{size}.yaml")]
    assert tuple(own["tokens_per_sample"] for own in found) == LENGTHS
    assert [own["lr"] for own in found] == pytest.approx(RATES)
    assert tuple(own["batch_size"] * own["update_freq"] for own in found) == BATCHES
    assert tuple(own["updates"] for own in found) == UPDATES[size]
    assert [own["warmup_updates"] for own in found] == [min(count // 10, 10000) for count in UPDATES[size]]
    assert [own["attention_window"] for own in found] == [f"{32 << n}-{512 << n}" for n in range(5)]
    for own in found:
        rows = own["attention_dilation"].split("/")
        expected = [
            [1] * 8 if d == 1 else [d, d] + [1] * 6 for d, count in DILATIONS[size].items() for _ in range(count)
        ]
        assert [[int(x) for x in row.split(",")] * (8 // len(row.split(","))) for row in rows] == expected


def test_every_file_is_one_of_phases(phases: ModuleType) -> None:
    files = sorted(CONFIGS.glob("*.yaml"))
    assert len(files) == 3
    for file in files:
        found = phases.read(file)
        for before, after in zip(found, found[1:], strict=False):
            assert after.settings["lr"] == before.settings["lr"] / 2
            assert after.settings["tokens_per_sample"] > before.settings["tokens_per_sample"]
            windows = ([int(end) for end in own.settings["attention_window"].split("-")] for own in (before, after))
            assert [2 * end for end in next(windows)] == next(windows)


def test_what_a_phase_takes_over_and_says(phases: ModuleType, tmp_path: Path) -> None:
    later = {"attention_window": "8-16", "lr": 0.005, "updates": 200}
    first, second = phases.read(written(tmp_path / "p.yaml", PHASE | {"warmup_updates": 2}, later))
    assert second.settings == PHASE | later | {"warmup_updates": 20}
    assert first.changes == "window 4-8, length 32, learning rate 0.01, 3 updates, batch size 2"
    assert second.changes == "window 4-8 → 8-16, learning rate 0.01 → 0.005, 200 updates"
    words = second.options
    assert words[:4] == ["--arch", "longformer_lm_tiny", "--decoder-layers", "2"]
    assert value(words, "--attention-window") == "8-16" and value(words, "--max-update") == "200"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"arch": None}, "{}, arch: None is not a language model with windows; use littlebird_lm_large, "),
        ({"arch": "littlebird_base"}, "{}, arch: 'littlebird_base' is not a language model with windows"),
        ({"phases": []}, "{}, phases: expected a list of phases"),
        ({"phase": [PHASE]}, "{}: unknown key 'phase'; use arch, options, phases"),
        ({"options": "--bf16"}, "{}, options: expected a list of words"),
        ({"phases": [PHASE, {"windows": 4}]}, "{}, phase 2: unknown key 'windows'; use attention_window, "),
        ({"phases": [{"lr": 0.1}]}, "{}, phase 1, tokens_per_sample: not given; add it to the first phase"),
        ({"phases": [PHASE, {"lr": "fast"}]}, "{}, phase 2, lr: expected a number above 0, got 'fast'"),
        ({"phases": [PHASE | {"updates": 0}]}, "{}, phase 1, updates: expected a positive whole number, got 0"),
        ({"phases": [PHASE | {"batch_size": 2.5}]}, "{}, phase 1, batch_size: expected a positive whole number"),
        ({"phases": [PHASE | {"warmup_updates": 9}]}, "{}, phase 1, warmup_updates: more than the updates"),
        (
            {"phases": [PHASE, {"attention_window": 7}]},
            "{}, phase 2, attention_window: attention window 7 is not an even",
        ),
        (
            {"phases": [PHASE | {"attention_window": "4,4,4"}]},
            "attention_window: 3 attention windows do not fit 2 layers",
        ),
        (
            {"phases": [PHASE | {"attention_dilation": "1,2"}]},
            "attention_dilation: 2 attention dilations do not fit 4 heads",
        ),
        ({"phases": [PHASE | {"attention_window": "4 8"}]}, "attention_window: expected a number or a text without"),
        ({"phases": [4]}, "{}, phase 1: expected keys with values"),
    ],
)
def test_a_bad_file_is_one_line_that_names_the_key(
    phases: ModuleType, tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    path = tmp_path / "bad.yaml"
    given = {"arch": "longformer_lm_tiny", "options": ["--decoder-layers", 2], "phases": [PHASE]} | content
    path.write_text(yaml.safe_dump(given), "utf-8")
    with pytest.raises(UserError) as error:
        phases.read(path)
    assert message.format(path) in str(error.value)


def test_a_file_that_is_not_yaml(
    phases: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("broken", "phases: [\n"), ("list", "- 1\n"), ("text", "phases\n"), ("gap", "arch: ${x}\n")):
        path = tmp_path / name
        path.write_text(text)
        monkeypatch.setattr(sys, "argv", ["phases.py", str(path)])
        with pytest.raises(SystemExit) as ended:
            phases.main()
        err = capsys.readouterr().err
        assert ended.value.code == 2 and err.startswith(f"phases: {path}") and len(err.splitlines()) == 1


def test_dry_run(with_stand_ins: dict[str, str], tmp_path: Path) -> None:
    given = [
        "--train",
        __file__,
        "--valid",
        __file__,
        "--phases",
        CONFIGS / "two_cores.yaml",
        "--out",
        tmp_path / "out",
    ]
    prepare, first, second, third, score = commands(
        recipe(*given, "--bytes", "--dry-run", "--", "--cpu", environment=with_stand_ins)
    )
    assert prepare[:2] == ["littlebird-prepare", "characters"] and "--bytes" in prepare and "--test" not in prepare
    assert first[0] == "littlebird-launch" and "--finetune-from-model" not in first and first[-1] == "--cpu"
    for before, phase in ((first, second), (second, third)):
        assert value(phase, "--finetune-from-model") == f"{value(before, '--save-dir')}/checkpoint_last.pt"
    assert value(score, "--path") == f"{value(third, '--save-dir')}/checkpoint_last.pt"
    assert value(score, "--gen-subset") == "valid" and "--cached" not in score
    more = ["--test", __file__, "--processes", 2, "--cached", "--score-length", 900, "--stride", 30, "--dry-run"]
    prepare, first, *_, score = commands(recipe(*given, *more, environment=with_stand_ins))
    assert first[0] == "torchrun" and value(first, "--nproc-per-node") == "2" and "littlebird-launch" in first
    assert (value(score, "--length"), value(score, "--stride"), value(score, "--gen-subset")) == ("900", "30", "test")
    assert "--cached" in score and value(prepare, "--test") == __file__ and not (tmp_path / "out").exists()


def test_bad_arguments_are_one_line(with_stand_ins: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    bad = written(tmp_path / "bad.yaml", PHASE | {"lr": -1})
    good = ["--train", __file__, "--valid", __file__, "--phases", CONFIGS / "two_cores.yaml", "--out", tmp_path / "out"]
    cases = [[], ["--what", "x"], ["--train"], good[2:], [*good, "--save-every", "0"], [*good, "--stride", "40000"],
             [*good, "--phases", tmp_path / "none.yaml"], [*good, "--out", tmp_path / "mine"]]  # fmt: skip
    for arguments in cases:
        done = recipe(*arguments, environment=with_stand_ins)
        assert done.returncode == 2 and done.stderr.startswith("language_model: "), done.stderr
        assert len(done.stderr.splitlines()) == 1
    done = recipe(*good, "--phases", bad, "--dry-run", environment=with_stand_ins)
    assert done.returncode == 2 and done.stderr.splitlines() == [
        f"phases: {bad}, phase 1, lr: expected a number above 0, got -1"
    ]


@pytest.mark.slow
def test_two_phases_that_are_cut_and_go_on(environment: dict[str, str], tmp_path: Path) -> None:
    text = "the cat sat on the mat and the dog sat on the log " * 40
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text(text[: None if split == "train" else 400])
    sizes = "--decoder-embed-dim 16 --decoder-ffn-embed-dim 24 --decoder-attention-heads 2".split()
    later = {"attention_window": "8-16", "tokens_per_sample": 64, "lr": 0.005, "updates": 5}
    file = written(tmp_path / "phases.yaml", PHASE, later, options=["--decoder-layers", 2, *sizes])
    out = tmp_path / "out"
    given = [option for split in ("train", "valid", "test") for option in (f"--{split}", tmp_path / f"{split}.txt")]
    given += ["--phases", file, "--out", out, "--save-every", 2, "--score-length", 64, "--stride", 16, "--workers", 1]
    done = recipe(*given, "--", "--cpu", environment=environment)
    names = ["littlebird-prepare", "littlebird-launch", "littlebird-launch", "littlebird-score"]
    assert [command[0] for command in commands(done)] == names
    assert "Phase 2 of 2: window 4-8 → 8-16, length 32 → 64, learning rate 0.01 → 0.005, 5 updates" in done.stdout
    scores = done.stdout.split("== Score")[1].splitlines()[2:]
    first, second = (torch.load(out / f"phase-{n}" / "checkpoint_last.pt", weights_only=True) for n in (1, 2))
    assert [state["optimizer_history"][-1]["num_updates"] for state in (first, second)] == [3, 5]
    assert [state["cfg"]["model"]["attention_window"] for state in (first, second)] == ["4-8", "8-16"]
    assert second["cfg"]["task"]["tokens_per_sample"] == 64
    assert {name: w.shape for name, w in first["model"].items()} == {n: w.shape for n, w in second["model"].items()}
    # five steps of Adam from the first phase's weights, and not from new ones
    assert max((first["model"][name] - weight).abs().max() for name, weight in second["model"].items()) < 0.05
    assert any("bits per character" in line for line in scores)

    # the second phase is cut after four updates: the first is not trained again, the second goes on
    before = (out / "phase-1" / "checkpoint_last.pt").stat().st_mtime_ns
    (out / "phase-2" / "done").unlink()
    (out / "phase-2" / "checkpoint_1_4.pt").rename(out / "phase-2" / "checkpoint_last.pt")
    (out / "phase-2" / "checkpoint_best.pt").unlink()  # of the fifth update, which a cut training has not
    again = recipe(*given, "--", "--cpu", environment=environment)
    assert [command[0] for command in commands(again)] == names[2:]
    assert before == (out / "phase-1" / "checkpoint_last.pt").stat().st_mtime_ns
    log = (out / "phase-2" / "training.log").read_text()
    assert len(re.findall(r"\bnum_updates 2\b", log)) == 1 and log.count("done training") == 2
    assert (
        torch.load(out / "phase-2" / "checkpoint_last.pt", weights_only=True)["optimizer_history"][-1]["num_updates"]
        == 5
    )
    assert scores == again.stdout.split("== Score")[1].splitlines()[2:]

    # phases that were trained stay as they are; others may follow
    written(file, PHASE | {"lr": 0.02}, later, options=["--decoder-layers", 2, *sizes])
    changed = recipe(*given, "--", "--cpu", environment=environment)
    assert changed.returncode == 2 and "phase 1 began with other options" in changed.stderr
