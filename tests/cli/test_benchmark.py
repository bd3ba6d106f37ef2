"""littlebird-benchmark, through its arguments, files and exit status."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from fairseq_littlebird.attention.littlebird.backends import BACKENDS
from fairseq_littlebird.benchmarks.cells import read
from fairseq_littlebird.cli.benchmark import main

SMALL = "--size tiny --threads 1 --runs 1".split()


@pytest.fixture
def in_forks(forks, monkeypatch):
    """Whatever the benchmarks measure or run in processes of its own runs in forks; see tests/benchmarks for these."""

    def status_of(words, stdout, stderr, env):
        return forks.start(words, Path(stdout.name), Path(stdout.name), environment=env).wait()

    monkeypatch.setattr("fairseq_littlebird.benchmarks.comparison.fresh_process", forks.call)
    monkeypatch.setattr("fairseq_littlebird.cli.benchmark.fresh_process", forks.call)
    monkeypatch.setattr("fairseq_littlebird.benchmarks.steps._RUNNING.status_of", status_of)


def cells_of(path):
    return [(c.mode, c.length, c.allocator, c.model) for c in read(path)]


@pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")
def test_encoder(in_forks, tmp_path, capsys):
    path = tmp_path / "a.csv"
    arguments = f"encoder --lengths 40 --modes forward --peers full --markdown --csv {path}".split()
    main([*arguments, *SMALL, "--json", str(tmp_path / "a.json")])
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == [dataclasses.asdict(cell) for cell in read(path)]
    assert cells_of(path) == [("forward", 40, "default", model) for model in ("littlebird", "full", "floor")]
    for cell in read(path):
        assert cell.benchmark == "encoder" and cell.layers == 2 and cell.width == 64 and cell.processor
        assert cell.floor_ms > 0 and cell.times_floor == pytest.approx(cell.median_ms / cell.floor_ms)
        assert cell.peak_mib is None
    out = capsys.readouterr().out
    assert out.startswith("processor ") and "| forward | 40 |" in out
    main(["report", str(path), "--markdown"])
    assert capsys.readouterr().out.strip() == out[out.index("| mode") :].strip()


def test_encoder_in_modernberts_form(in_forks, tmp_path):
    path = tmp_path / "a.csv"
    arguments = f"encoder --size modernbert_base --lengths 40 --modes forward --peers modernbert --csv {path}".split()
    main([*arguments, *SMALL[2:], "--layers", "3", "--dtype", "bfloat16"])
    assert [cell.model for cell in read(path)] == ["littlebird", "modernbert", "floor"]
    with pytest.raises(SystemExit):
        main(["efficiency", "--size", "modernbert_base"])


def test_precisions(in_forks, tmp_path):
    path = tmp_path / "a.csv"
    names = ["littlebird-bfloat16", "littlebird-int8"]
    main(["encoder", "--lengths", "40", "--modes", "forward", "--csv", str(path), *SMALL, "--peers", *names])
    assert [cell.model for cell in read(path)] == ["littlebird", *names, "floor"]


def test_gradients_of_int8_are_not_measured(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["encoder", "--lengths", "40", *SMALL, "--peers", "littlebird-int8"])
    assert stopped.value.code == 2
    assert "'littlebird-int8' has no gradients" in capsys.readouterr().err


def test_a_file_grows_from_call_to_call(in_forks, tmp_path):
    path = tmp_path / "a.csv"
    for options in (["40", "--memory"], ["70"]):
        main(["encoder", "--modes", "forward+backward", "--csv", str(path), *SMALL, "--lengths", *options])
    assert [row[1:] for row in cells_of(path)] == [
        (length, "default", model) for length in (40, 70) for model in ("littlebird", "floor")
    ]
    for cell in read(path):
        measured = (cell.peak_mib, cell.peak_kib_per_token, cell.peak_bytes_per_token_and_layer)
        assert all((value is not None) == (cell.model == "littlebird" and cell.length == 40) for value in measured)


def test_efficiency(in_forks, tmp_path, capsys):
    path, picture = tmp_path / "a.csv", tmp_path / "a.png"
    arguments = (
        "efficiency --lengths 40 70 --vocabulary 100 --layers 1 --full-up-to 64 --no-memory --modes forward".split()
    )
    models = "--architectures littlebird bigbird-etc full --global-tokens 4 8".split()
    main([*arguments, *models, *SMALL, "--csv", str(path), "--plot", str(picture)])
    both = ["littlebird", "bigbird-etc G=4", "bigbird-etc G=8"]
    assert cells_of(path) == [
        ("forward", length, "default", model)
        for length, models in ((40, [*both, "full", "floor"]), (70, [*both, "floor"]))
        for model in models
    ]
    assert {(c.benchmark, c.layers, c.width, c.vocabulary) for c in read(path)} == {("efficiency", 1, 64, 100)}
    assert picture.stat().st_size > 10_000 and "bigbird-etc G=8" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main("efficiency --lengths 70 --architectures full --full-up-to 64".split())
    assert stopped.value.code == 2 and "70 tokens" in capsys.readouterr().err


def test_efficiency_at_base_size(monkeypatch, tmp_path):
    """Without options: the models and lengths of figure 3, twelve layers, RoBERTa's words, and memory."""
    seen = []

    def compare(benchmark, workload, names, rounds, allocator, memory, done):
        seen.append((workload.mode, workload.length, workload.layers, workload.vocabulary, memory))
        assert names == ["littlebird", "bigbird-itc", *(f"bigbird-etc G={n}" for n in (64, 128, 256, 512))] + [
            "longformer",
            "full",
        ]
        return []

    monkeypatch.setattr("fairseq_littlebird.cli.benchmark.compare", compare)
    main(["efficiency"])
    assert seen == [
        (mode, length, 12, 50265, True)
        for mode in ("forward", "forward+backward")
        for length in (1024, 2048, 4096, 8192)
    ]


def test_quality(in_forks, tiny, tmp_path, capsys):
    """Two architectures through every command; once more, and nothing runs again."""
    small = {"encoder_layers": 1, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16, "encoder_attention_heads": 2}
    file, out = tmp_path / "a.yaml", tmp_path / "out"
    settings = {
        "out": str(out),
        "text": str(tiny / "text"),
        "questions": str(tiny / "questions"),
        "gold": str(tiny / "valid.json"),
        "subset": "valid",
        "architectures": {
            "LittleBird": {"arch": "littlebird_tiny", "pack_size": 4, "block_size": 16},
            "full attention": {"arch": "roberta_full_tiny", "max_positions": 130},
        },
        "training": small
        | {"optimizer": "adam", "lr": 1e-3, "batch_size": 8, "max_update": 2, "cpu": True, "num_workers": 0}
        | {"disable_validation": True, "no_epoch_checkpoints": True},
        "span_selection": {"tokens_per_sample": 128},
        "validation": {"valid_subset": "valid", "batch_size": 8, "cpu": True},
    }
    file.write_text(yaml.safe_dump(settings))
    main(["quality", "--config", str(file), "--jobs", "2", "seeds=[3]"])
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    results = json.loads((out / "results.json").read_text())
    assert sorted(results) == ["LittleBird/3", "full attention/3"]
    for title in settings["architectures"]:
        figures = results[f"{title}/3"]
        assert figures["parameters"] > 5000 and figures["minutes"] > 0
        assert all(0 <= figures[name] <= 100 for name in ("accuracy", "exact", "f1"))
        assert any(line.startswith(f"| {title} | {figures['parameters']:,} | ") for line in table)
    times = {log: log.stat().st_mtime_ns for log in out.rglob("*.log")}
    assert len(times) == 10
    main(["quality", "--config", str(file), "seeds=[3]"])
    assert table == [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert times == {log: log.stat().st_mtime_ns for log in out.rglob("*.log")}
    with pytest.raises(SystemExit):
        main(["quality", "--config", str(file), "seeds=[3]", "training.lr=1e-2"])
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "2 of 2 runs" in error


def test_attention(in_forks, tmp_path, capsys):
    path = tmp_path / "a.csv"
    options = "attention --lengths 40 70 --dense-up-to 64 --modes forward --allocator tuned --peers".split()
    main([*options, "--csv", str(path), *SMALL])
    found = cells_of(path)
    assert {model for *_, model in found} - {"floor", "full"} <= set(BACKENDS)
    for model, lengths in (("blockwise", [40, 70]), ("dense", [40]), ("full", [40, 70]), ("floor", [40, 70])):
        assert [row[1] for row in found if row[2:] == ("tuned", model)] == lengths
    assert all(cell.times_ours == 1 for cell in read(path) if cell.model == "blockwise")


def test_attention_in_both_modes(in_forks, tmp_path):
    """A backend without gradients here is left out; it does not end the call."""
    path = tmp_path / "a.csv"
    main(["attention", "--lengths", "40", "--csv", str(path), *SMALL])
    assert {(mode, model) for mode, _, _, model in cells_of(path)} >= {
        (mode, "blockwise") for mode in ("forward", "forward+backward")
    }


def test_backends_that_do_not_run_here(in_forks, monkeypatch, capsys, tmp_path):
    reasons = dict.fromkeys(("dense", "flex", "triton"), "needs an accelerator")
    monkeypatch.setattr("fairseq_littlebird.cli.benchmark.fresh_process", lambda *_: reasons)
    with pytest.raises(SystemExit) as stopped:
        main(["attention", "--backends", "dense", *SMALL])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "'dense'" in error and "needs an accelerator" in error
    main(["attention", "--lengths", "40", "--modes", "forward", *SMALL])
    assert re.search("^dense .*: needs an accelerator$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("encoder --heads 7", "7 attention heads"),
        ("encoder --csv {}/no/a.csv", "no/a.csv: cannot be written"),
        ("quality --config {}/none.yaml", "none.yaml: No such file"),
        ("report {}/none.csv --markdown", "none.csv: No such file"),
        ("report {} --markdown", "Is a directory"),
        ("heatmap {0} --teacher {0}/t.pt --student {0}/s.pt --plot {0}/a.png", "dict.txt: not found"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments.format(tmp_path).split())
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("littlebird-benchmark: ") and message in error and error.count("\n") == 1


@pytest.mark.parametrize("arguments", ["", "encoder --peers nobody", "encoder --lengths 0", "encoder --padding 1"])
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments.split())
    assert stopped.value.code == 2 and "Traceback" not in capsys.readouterr().err


def test_as_a_command(forks):
    done = forks.run([sys.executable, "-m", "fairseq_littlebird.cli.benchmark", "--help"])
    assert done.returncode == 0 and "floor" in done.stdout
