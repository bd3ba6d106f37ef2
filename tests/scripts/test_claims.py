"""The runner of the long trainings, its plan and its measurements, at tiny scale."""

from __future__ import annotations

import gzip
import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "scripts" / "experiments"


@pytest.fixture
def module(monkeypatch):
    """A script of the folder as a module."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def runner(module, tmp_path, monkeypatch):
    """``runner(steps)`` works through other steps, in a folder without a clone of the repository."""
    claims, plan = module("claims"), module("claims_plan")
    monkeypatch.setattr(claims.Runner, "commit", lambda self: "abc")

    def make(*commands):
        steps = tuple(plan.Step(f"step-{n}", command) for n, command in enumerate(commands))
        made = claims.Runner(tmp_path, tmp_path, steps)
        made.code = tmp_path
        return made

    return make


def test_steps_run_once_in_their_order_and_stop_at_a_failure(runner, tmp_path):
    first = runner("cp {out}/a {out}/b", "cp {out}/b {out}/c")
    (tmp_path / "a").write_text("text")
    first.run(hours=1)
    assert (tmp_path / "c").read_text() == "text"
    (tmp_path / "c").unlink()
    runner("cp {out}/a {out}/b", "cp {out}/b {out}/c").run(hours=1)
    assert not (tmp_path / "c").exists()  # both were done

    with pytest.raises(SystemExit, match=r"step-2\.log: status 1\n.*missing"):
        runner("true", "true", "cp {out}/missing {out}/d", "cp {out}/a {out}/e").run(hours=1)
    assert not (tmp_path / "e").exists()
    records = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert [(r["step"], r["finished"]) for r in records] == [("step-0", True), ("step-1", True), ("step-2", False)]


def test_a_step_that_the_clock_stops_is_not_done(runner, tmp_path):
    stopped = runner("sleep 60", "cp {out}/a {out}/b")
    stopped.run(hours=1 / 3600)
    assert not (tmp_path / "done").exists()
    assert json.loads((tmp_path / "runs.jsonl").read_text())["status"] != 0


@pytest.mark.parametrize(("scale", "batch"), [("minilm", 4096), ("evening", 2048), ("small", 8192)])
def test_every_training_of_the_plan_is_one_that_fairseq_knows(module, scale, batch):
    from fairseq import options

    plan = module("claims_plan").steps(scale)
    assert len({step.name for step in plan}) == len(plan)
    runner = module("claims").Runner(Path("/out"), Path("/data"), plan)
    for step in plan:
        words = runner.words(step)
        if Path(words[0]).name == "littlebird-launch":
            parsed = options.parse_args_and_arch(options.get_training_parser(), words[1:])
            assert parsed.max_update * batch == pytest.approx(1e6 * float(step.name.split("@")[1][:-1]), rel=1e-3)
            assert parsed.batch_size * parsed.tokens_per_sample == batch


def test_bfloat16_reaches_every_training_and_teacher(module):
    plan = module("claims_plan").steps("evening")
    runner = module("claims").Runner(Path("/out"), Path("/data"), plan, bf16=True)
    for step in plan:
        words = runner.words(step)
        launched = Path(words[0]).name == "littlebird-launch"
        assert ("--bf16" in words) == launched
        assert (words[-2:] == ["--teacher-precision", "bfloat16"]) == (launched and "--teacher-path" in words)


def test_a_folder_keeps_what_its_first_run_was_asked_for(module, tmp_path):
    remembered = module("claims").remembered
    assert remembered(tmp_path, "scale", None, "minilm") == "minilm"
    assert remembered(tmp_path, "precision", "bfloat16", "float32") == "bfloat16"
    assert remembered(tmp_path, "precision", None, "float32") == "bfloat16"
    with pytest.raises(SystemExit, match="its scale is minilm; name another folder for small"):
        remembered(tmp_path, "scale", "small", "minilm")


def test_one_seed_alone(module):
    """It has what it needs of the common steps; both seeds together are the whole plan, nothing twice."""
    steps = module("claims_plan").steps
    one, other, both = (steps("evening", seeds) for seeds in ((1,), (2,), (1, 2)))
    assert {*one} | {*other} == {*both} and len(both) == len({*both})
    common = [step.name for step in both if step in one and step in other]
    assert common[0] == "documents" and common[-1] == "bigbird"
    assert [step for step in other if "-1@" in step.name] == [step for step in one if "-2@" in step.name] == []


def test_a_figure_has_the_interval_of_its_chunks(module):
    measure = module("measure")
    logs = [{"loss": 2.0, "exact": n % 2, "sample_size": 1 + n % 2} for n in range(100)]
    found = measure.figures(logs)
    assert found["accuracy"][0] == pytest.approx(100 * 50 / 150, abs=1e-3)
    low, high = found["accuracy"][1:]
    assert 20 < low < 100 / 3 < high < 45
    assert measure.figures([{"loss": 1.0, "sample_size": 2}] * 5)["loss"] == pytest.approx([0.7213] * 3)


def test_measuring_a_checkpoint(module, tiny, commands, forks, tmp_path):
    """The same figure as fairseq's own validation, whatever the batches."""
    options = [
        *(
            str(tiny / "text"),
            "--task",
            "littlebird_masked_lm",
            "--criterion",
            "masked_lm",
            "--tokens-per-sample",
            "64",
        ),
        *("--arch", "littlebird_tiny", "--encoder-layers", "1", "--encoder-embed-dim", "16", "--pack-size", "4"),
        *(
            "--encoder-ffn-embed-dim",
            "16",
            "--encoder-attention-heads",
            "2",
            "--block-size",
            "16",
            "--optimizer",
            "adam",
        ),
    ]
    training = ["--max-update", "1", "--batch-size", "4", "--log-format", "json", "--save-dir", str(tmp_path), "--cpu"]
    done = forks.run([commands / "littlebird-launch", *options, *training])
    assert done.returncode == 0, done.stderr[-2000:]
    (valid,) = module("claims_report").curve(done.stdout + done.stderr)
    module("measure").main(
        ["--checkpoint", str(tmp_path / "checkpoint_last.pt"), "--to", str(tmp_path / "m.json"), "--chunks", "999"]
        + options
    )
    mean, low, high = json.loads((tmp_path / "m.json").read_text())["loss"]
    assert mean == pytest.approx(valid["valid_loss"], abs=2e-3)
    assert low < mean < high


def test_curves_are_drawn_by_tokens(module, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    (tmp_path / "logs").mkdir()
    line = '2026 | INFO | valid | {"epoch": 1, "valid_loss": "%s", %s"valid_num_updates": "500"}\n'
    (tmp_path / "logs" / "1-warm-1@1M.log").write_text(line % ("6.5", ""))
    (tmp_path / "logs" / "1-distilled-1@1M.log").write_text(line % ("2.5", '"valid_hard_loss": "6.25", '))
    (tmp_path / "logs" / "1-warm-1-1M-spans@1M.log").write_text("begins\n")
    module("claims_report").report(tmp_path, tmp_path / "docs", 2048)
    assert "1-warm-1-1M-spans@1M no validation yet" in capsys.readouterr().out
    points = json.loads((tmp_path / "docs" / "curves.json").read_text())["1-distilled-1@1M"]
    assert points == [{"epoch": 1.0, "valid_loss": 2.5, "valid_hard_loss": 6.25, "valid_num_updates": 500.0}]
    assert (tmp_path / "docs" / "curves.png").stat().st_size > 5000


def test_english_prose_of_a_machine(forks, tmp_path):
    prose = [
        f"The history of the town number {n} is told in the book that was written for it by a teacher."
        for n in range(99)
    ]
    page = (
        "<html><body><script>var x = 1;</script>" + "".join(f"<p>{line}</p>" for line in prose[:50]) + "</body></html>"
    )
    docs = tmp_path / "doc"
    docs.mkdir()
    (docs / "a.html").write_text(page)
    (docs / "b.txt.gz").write_bytes(gzip.compress("\n\n".join(prose).encode()))  # the first half stands in a.html
    (docs / "c.txt").write_text(
        "\n\n".join(f"x{n} = f(y[{n}]) + {n} * z{n}; return x{n} - 1; // {n}" for n in range(200))
    )
    (docs / "d.1").write_text(
        ".TH D 1\n.SH NAME\n"
        + "".join(f".PP\n{line.replace('town', chr(92) + 'fBcity' + chr(92) + 'fR')}\n" for line in prose)
    )
    command = [sys.executable, str(FOLDER / "english_text.py"), "--input", str(docs), "--out", str(tmp_path / "out")]
    done = forks.run(command)
    assert done.returncode == 0, done.stderr
    texts = [path.read_text().splitlines() for path in sorted((tmp_path / "out").iterdir())]
    assert texts == [prose[:50], prose[50:], [line.replace("town", "city") for line in prose]]

    empty = forks.run([*command[:-1], tmp_path / "none", "--input", docs / "c.txt"])
    assert empty.returncode == 2 and "no English prose" in empty.stderr and not (tmp_path / "none").exists()
