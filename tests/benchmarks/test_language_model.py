"""What littlebird-benchmark language-model compares: models that write what they should, limits, and crossovers."""

from __future__ import annotations

import csv
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fairseq_littlebird.benchmarks import language_model, processes
from fairseq_littlebird.benchmarks.language_model import Limits, Row, crossover
from fairseq_littlebird.benchmarks.language_model_floor import products
from fairseq_littlebird.benchmarks.language_model_workload import MODES, LanguageModelling
from fairseq_littlebird.benchmarks.language_models import COMPARED, MODELS, Generating, build, ready
from fairseq_littlebird.benchmarks.processes import OutOfMemory, OutOfTime
from fairseq_littlebird.benchmarks.timing import FLOOR, Times
from fairseq_littlebird.cli.benchmark import main

SMALL = LanguageModelling(
    "generation", length=1, batch=2, width=16, heads=2, ffn_width=24, vocabulary=30, windows="4-8", tokens=20
)  # fmt: skip
OURS, FULL = "longformer_lm", "full-sdpa"
LIMITS = Limits(8 << 30, 60.0)
NAMES = [name for name in MODELS if name != FLOOR]  # that predict


def greedy(model: Any, tokens: torch.Tensor, count: int) -> torch.Tensor:
    """Every token by a pass over all before it."""
    with torch.no_grad():
        for _ in range(count):
            tokens = torch.cat([tokens, model(tokens)[0][:, -1:].argmax(-1)], dim=1)
    return tokens


@pytest.mark.parametrize(("name", "length"), [*((name, 1) for name in NAMES), (OURS, 30)])
def test_what_is_written_is_what_whole_passes_write(name: str, length: int) -> None:
    """Nothing or a text before it; the next call goes on."""
    of = dataclasses.replace(SMALL, length=length)
    model = build(name, of)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    writing = Generating(model, of)
    assert torch.equal(writing.write(), greedy(model, of.text(), of.tokens))
    assert torch.equal(writing.write(), greedy(model, of.text(), 2 * of.tokens))


@pytest.mark.parametrize("name", ["transformer_lm", FULL])
def test_full_attention_has_as_many_keys_as_there_are_tokens(name: str) -> None:
    of = dataclasses.replace(SMALL, length=300)
    writing = Generating(build(name, of), of)
    writing.write()
    if name == FULL:
        counts = [buffer.count for buffer in writing.decoder.decoding_state(writing.state).buffers]
    else:
        layers = writing.decoder.layers
        counts = [layer.self_attn._get_input_buffer(writing.state)["prev_key"].shape[2] for layer in layers]
    assert counts == [300 - 1 + of.tokens] * 2


def test_full_attention_reads_every_token_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window model does not, which is what makes it another model."""
    of = dataclasses.replace(SMALL, mode="forward", length=40)
    tokens = of.text()
    other = tokens.clone()
    other[:, 0] = 4 + (other[:, 0] - 3) % 20
    differ = {}
    for name in NAMES:
        model = build(name, of)
        with torch.no_grad():
            differ[name] = (model(tokens)[0] - model(other)[0]).abs()[:, -1].max() > 0
    assert differ == {
        OURS: False,
        "transformer_lm": True,
        FULL: True,
        "littlebird_lm": True,  # whose first block is global
    }


@pytest.mark.parametrize("name", NAMES)
def test_training_gives_every_parameter_a_gradient(name: str) -> None:
    of = dataclasses.replace(SMALL, mode="forward+backward", length=150)  # more than two blocks
    model = build(name, of)
    ready(model, of)()
    without = {n for n, p in model.named_parameters() if not (p.grad is not None and p.grad.abs().max() > 0)}
    assert not {n for n in without if "k.bias" not in n and "k_proj.bias" not in n}  # softmax does not see it


class Multiplied(TorchDispatchMode):
    """Counts the floating-point operations of matrix products."""

    flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "bmm", "baddbmm_"):
            self.flops += 2 * result.numel() * args[name in ("addmm", "baddbmm_")].shape[-1]
        elif name == "_scaled_dot_product_flash_attention_for_cpu":
            self.flops += 4 * args[0].numel() * args[1].shape[2]
        return result


@pytest.mark.parametrize("part", ["model", "attention"])
@pytest.mark.parametrize(
    ("length", "windows", "dilations"),
    [(1, "4-8", "1"), (150, "4-8", "1"), (150, "4-8", "1,3"), (333, "90,200", "1"), (70, "90,200", "2/1")],
)
def test_the_floor_is_what_the_model_multiplies(part: str, length: int, windows: str, dilations: str) -> None:
    """Of a pass; the floor itself multiplies as much, and three times as much with gradients."""
    of = dataclasses.replace(
        SMALL, mode="forward", part=part, length=length, windows=windows, dilations=dilations, width=24
    )
    counted = {}
    for name, mode in ((OURS, "forward"), (FLOOR, "forward"), (FLOOR, "forward+backward")):
        of_mode = dataclasses.replace(of, mode=mode)
        once = ready(build(name, of_mode), of_mode)
        with Multiplied() as multiplied:
            once()
        counted[name, mode] = multiplied.flops
    assert counted[OURS, "forward"] == counted[FLOOR, "forward"] == sum(p.flops for p in products(of))
    assert counted[FLOOR, "forward+backward"] == 3 * counted[FLOOR, "forward"]


def test_the_floor_of_generation() -> None:
    """Of each of 20 tokens of two texts: 4 + 2 products of its width, its window's keys and values, the output."""
    of = dataclasses.replace(SMALL, length=30)
    of_width = 4 * 16 * 16 + 2 * 16 * 24
    of_windows = 2 * 16 * (5 + 9)
    assert sum(p.flops for p in products(of)) == 2 * 20 * 2 * (2 * of_width + of_windows + 16 * 30)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes are this one."""

    def here(function: Any, *arguments: Any, variables: Any = None, seconds: Any = None) -> Any:
        if function is language_model.peak:
            assert arguments[2] == 3 << 30 and seconds == 9.0
            if arguments[1] == "transformer_lm" and arguments[0].length == 32:
                raise OutOfTime(9.0)
            if arguments[1] == FULL and arguments[0].mode == "generation":
                raise OutOfMemory
        return function(*arguments)

    monkeypatch.setattr(language_model, "fresh_process", here)
    monkeypatch.setattr(language_model.resource, "setrlimit", lambda *given: None)
    sizes = "--layers 1 --width 16 --heads 2 --ffn-width 16 --vocabulary 30 --attention-window 4 --threads 1".split()
    limits = "--memory-limit 3 --time-limit 9 --lengths 64 16 32 --runs 1 --tokens 2".split()
    main(["language-model", *sizes, *limits, "--csv", f"{tmp_path}/rows.csv", "--json", f"{tmp_path}/rows.json"])
    out = capsys.readouterr().out
    assert (
        out.startswith("processor") and "transformer_lm: left out from here on, its first run took more than 9 s" in out
    )
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    lengths = {(mode, name): [] for mode in MODES for name in COMPARED}
    for row in rows:
        lengths[row["mode"], row["model"]].append(int(row["length"]))
        assert float(row["fastest_ms"]) <= float(row["median_ms"]) <= float(row["slowest_ms"]) and row["processor"]
    for mode in MODES:
        assert lengths[mode, OURS] == [16, 32, 64] and lengths[mode, "transformer_lm"] == [16]
        assert lengths[mode, FULL] == ([] if mode == "generation" else [16, 32, 64])
    assert f"generation: {FULL} was not measured" in out
    objects = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert [{key: str(value) for key, value in row.items()} for row in objects] == rows


def test_what_is_measured_of_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of one written token, the tokens of all texts, and the first model as the measure."""
    calls = iter([3 << 20, 5 << 20, {OURS: Times(40.0, 20.0, 80.0), FULL: Times(100.0, 100.0, 100.0)}])
    monkeypatch.setattr(language_model, "fresh_process", lambda *given, **options: next(calls))
    (ours, full), skipped = language_model.measure(SMALL, [OURS, FULL], 1, LIMITS)
    assert (ours.median_ms, ours.fastest_ms, ours.slowest_ms, ours.peak_mib) == (2.0, 1.0, 4.0, 3.0)
    assert ours.tokens_per_s == 1000.0 and full.times_ours == 2.5 and not skipped


def test_models_that_do_not_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def here(function: Any, of: Any, names: Any, *more: Any, **options: Any) -> Any:
        if function is language_model.peak:
            return 1
        if len(names) > 1:
            raise OutOfMemory
        return {name: Times(1.0, 1.0, 1.0) for name in names}

    monkeypatch.setattr(language_model, "fresh_process", here)
    rows, skipped = language_model.measure(SMALL, [OURS, FULL], 1, LIMITS)
    assert [row.model for row in rows] == [OURS] and "together" in skipped[FULL]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({64: 2.0, 128: 3.0}, "faster than full-sdpa at all lengths from 64 tokens; 3.0 times at 128"),
        ({64: 0.5, 256: 2.0}, "faster than full-sdpa from about 130 tokens on; 2.0 times at 256"),
        ({64: 2.0, 128: 0.5, 512: 2.0}, "faster than full-sdpa from about 260 tokens on; 2.0 times at 512"),
        ({64: 2.0, 128: 0.5}, "not faster than full-sdpa up to 128 tokens"),
        ({}, "full-sdpa was not measured"),
    ],
)
def test_crossover(times: dict[int, float], said: str) -> None:
    row = Row(
        OURS, "forward", 64, 1, 2, 16, "4", "1", 30, 1, "cpu", 3, 1.0, 1.0, 1.0, 64e3, 1.0, 1.0
    )  # fmt: skip
    rows = [dataclasses.replace(row, length=length) for length in (64, 128, 256, 512)]
    rows += [dataclasses.replace(row, model=FULL, length=length, median_ms=ms) for length, ms in times.items()]
    rows += [dataclasses.replace(row, mode="generation", model=FULL, median_ms=0.1)]  # of another mode
    assert crossover(rows, "forward", FULL) == f"forward: {said}"


def test_a_process_that_takes_too_long_is_ended() -> None:
    begun = time.monotonic()
    with pytest.raises(OutOfTime, match=r"took more than 0\.5 s"):
        processes.fresh_process(time.sleep, 60, seconds=0.5)
    assert time.monotonic() - begun < 30
    assert processes.fresh_process(abs, -3, seconds=60.0) == 3


@pytest.mark.slow
def test_a_model_that_needs_too_much_memory_is_left_out() -> None:
    """fairseq's makes masks of 256 MiB; ours has none."""
    of = LanguageModelling("forward", length=8192, layers=1, width=64, ffn_width=64, windows="32")
    rows, skipped = language_model.measure(of, [OURS, "transformer_lm"], 1, Limits(600 << 20, 120.0))
    assert [row.model for row in rows] == [OURS] and skipped == {"transformer_lm": "it needed more than 0.6 GiB"}
    assert 0 < rows[0].peak_mib < 150


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--heads", "3"], "3 attention heads do not divide a width of 512"),
        (["--attention-window", "7"], "attention window 7 is not an even number"),
        (["--part", "attention", "--models", "transformer_lm"], "--models transformer_lm; choose of longformer_lm,"),
        (["--part", "attention", "--modes", "generation"], "--modes generation; choose of forward, forward+backward"),
        (["--csv", "no/such/rows.csv"], "cannot be written"),
    ],
)
def test_bad_options_are_one_line(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["language-model", *options])
    err = capsys.readouterr().err
    assert ended.value.code == 2 and message in err and len(err.splitlines()) == 1
