"""The comparison of language models: its steps, its tables, and one step in small."""

from __future__ import annotations

import importlib
import json
import random
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairseq_littlebird.modules.config.windows import dilations_of_layers, windows_of_layers

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "experiments"


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("language_models")


def test_the_ablation_compares_windows_of_one_mean(experiment: Any) -> None:
    layers = [windows_of_layers(text, 4) for text in (experiment.RISING, experiment.FALLING, experiment.FIXED)]
    assert {sum(windows) / 4 for windows in layers} == {60}
    assert layers[0] == layers[1][::-1] and layers[0] == tuple(sorted(layers[0])) and len({*layers[2]}) == 1
    dilations = dilations_of_layers(experiment.DILATED.split()[1], 4, 4)
    assert [sum(d > 1 for d in heads) for heads in dilations] == [0, 0, 2, 2]


def test_every_step_reads_as_many_tokens(experiment: Any) -> None:
    """But for the one that says otherwise; stages double the windows and the length, and halve the rate."""
    steps = {step.name: step for step in experiment.STEPS}
    assert len(steps) == len(experiment.STEPS) and {name for pair in experiment.PAIRS for name in pair} <= {*steps}
    for step in experiment.STEPS:
        tokens = sum(part.updates(300) * part.batch * part.tokens for part in step.parts)
        assert tokens == 300 * experiment.BATCH * (0.2 if step.name == "transformer-8192" else 1)
    for before, after in zip(steps["staged"].parts, steps["staged"].parts[1:], strict=False):
        assert after.tokens == 2 * before.tokens and after.rate == before.rate / 2
    staged, unstaged = ([(part.share, part.rate) for part in steps[n].parts] for n in ("staged", "unstaged"))
    assert staged == unstaged and {part.model for part in steps["unstaged"].parts} == {steps["staged"].parts[-1].model}


def test_a_loss_between_two_validations(experiment: Any) -> None:
    points = [(10, 4.0), (20, 3.0), (40, 2.0)]
    assert [experiment.at(points, update) for update in (10, 15, 30, 40)] == [4.0, 3.5, 2.5, 2.0]
    assert experiment.at(points, 5) is None and experiment.at(points, 41) is None


def test_report(experiment: Any, tmp_path: Path) -> None:
    """The transformer takes twice the time, so its loss is that of half of its updates."""
    for name, losses in (("longformer-512", (4, 3, 2)), ("transformer-512", (5, 3, 1))):
        lines = [
            f"x | INFO | valid | {json.dumps({'valid_loss': str(loss), 'valid_num_updates': str(update)})}"
            for update, loss in zip((100, 200, 300), losses, strict=True)
        ]
        (tmp_path / f"{name}-1.log").write_text("\n".join(lines) + "\n")
    results = {"cost/longformer-512-1": 0.5, "cost/transformer-512-1": 1.0, "bits/longformer-512/512": 2.25}
    lines = experiment.report(tmp_path, results, 300).splitlines()
    assert "| longformer-512 | 2.250 |  |  | 0.50 |" in lines
    assert "| longformer-512, transformer-512 | 150 | 2.000 | 4.000 |" in lines


def test_a_novel_is_split_without_loss(experiment: Any, tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_bytes(bytes(range(256)) * 10)
    files = experiment.novel(tmp_path / "novel.txt", tmp_path)
    assert b"".join(file.read_bytes() for file in files.values()) == bytes(range(256)) * 10
    assert [file.stat().st_size for file in files.values()] == [2304, 128, 128]


@pytest.mark.slow
def test_steps_in_small(
    experiment: Any, monkeypatch: pytest.MonkeyPatch, forks: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands run in forked processes; what is there is not run again."""
    (tmp_path / "char_lm").mkdir()
    letters = random.Random(0)
    for split, length in (("train", 5000), ("valid", 600), ("test", 600)):
        text = "".join(letters.choice("abc ") for _ in range(length))
        (tmp_path / "char_lm" / f"text8_like.{split}.txt").write_text(text)
    run: list[str] = []

    def forked(words: list[str], stdout: Any, **options: Any) -> Any:
        run.append(Path(words[1]).name)
        done = forks.run(words[1:], cwd=options["cwd"])
        stdout.write(done.stdout + done.stderr)
        return SimpleNamespace(returncode=done.returncode)

    monkeypatch.setattr(subprocess, "run", forked)
    arguments = ["language_models.py", "run", "--out", f"{tmp_path}/out", "--data", f"{tmp_path}", "--updates", "12"]
    monkeypatch.setattr("sys.argv", [*arguments, "--steps", "falling", "staged"])
    experiment.main()
    prepare, first, score, *staged = run
    assert (prepare, first, score) == ("littlebird-prepare", "fairseq-train", "littlebird-score")
    assert staged == ["fairseq-train"] * 3 + ["littlebird-score"] * 3
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {"bits/falling/2048", "bits/staged/512", "bits/staged/8192", "cost/falling-1", "cost/staged-3"} <= {*results}
    assert all(1.5 < value < 6 for key, value in results.items() if key.startswith("bits/"))
    run.clear()
    experiment.main()
    assert not run
    monkeypatch.setattr("sys.argv", ["language_models.py", "report", "--out", f"{tmp_path}/out", "--updates", "12"])
    capsys.readouterr()
    experiment.main()
    assert re.search(r"^\| staged \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ \|$", capsys.readouterr().out, re.MULTILINE)
