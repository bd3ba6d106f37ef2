"""Whole models with a masked-LM head: what they are given and give, sizes, figures, and the picture of them."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec

import pytest
import torch

from fairseq_littlebird.benchmarks import architectures, cells, plot
from fairseq_littlebird.benchmarks.architectures import FAMILIES, build, names
from fairseq_littlebird.benchmarks.comparison import compare
from fairseq_littlebird.benchmarks.efficiency import (
    EFFICIENCY,
    masked_tokens,
    model_peak,
    model_products,
    model_run,
    time_models,
)
from fairseq_littlebird.benchmarks.processes import OutOfMemory, fresh_process
from fairseq_littlebird.benchmarks.workload import BERT_SIZES, MODES, PAD, SIZES

OURS = names(FAMILIES, [8], [])


@pytest.fixture
def workload(workload):
    """Large enough for the windows of all, few words."""
    return dataclasses.replace(workload, length=200, batch=1, vocabulary=300)


def test_names():
    found = names(["littlebird", "bigbird-etc"], [64, 128], ["full"])
    assert found == ["littlebird", "bigbird-etc G=64", "bigbird-etc G=128", "transformers-full"]


@pytest.mark.parametrize("padding", [0.0, 0.4])
def test_masked_tokens(workload, padding):
    tokens = dataclasses.replace(workload, padding=padding, batch=2).tokens()
    masked = masked_tokens(tokens)
    words = tokens != PAD
    assert masked.sum() == -(-15 * words.sum() // 100) and not (masked & ~words).any()
    assert masked.equal(masked_tokens(tokens)) and masked_tokens(torch.tensor([[7]])).all()


@pytest.mark.parametrize("name", [*OURS, *(f"transformers-{peer}" for peer in ("full", "bigbird-fair", "longformer"))])
def test_a_training_step_learns_the_masked_tokens(workload, name):
    """Every model scores the same tokens: its loss comes down on them, and nothing else is asked of it."""
    if name.startswith("transformers") and find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    torch.manual_seed(0)
    model = build(name, dataclasses.replace(workload, mode=MODES[1]))
    tokens = workload.tokens()
    masked = masked_tokens(tokens)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        scores = model(tokens, None, masked)
        assert scores.shape == (masked.sum(), 300)
        losses.append(torch.nn.functional.cross_entropy(scores, tokens[masked]))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("mode", MODES)
def test_a_run_leaves_no_gradients(workload, mode):
    model = build("littlebird", workload)
    seen = []
    weight = next(model.parameters())
    weight.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.abs().sum().item()))
    model_run(model, dataclasses.replace(workload, mode=mode))()
    assert [p.grad for p in model.parameters() if p.grad is not None] == []
    assert model.training == (mode == MODES[1]) and bool(seen) == model.training and all(seen)


def test_the_floor_counts_every_layer_and_the_head(workload):
    one, two = (sum(p.flops for p in model_products(dataclasses.replace(workload, layers=n))) for n in (1, 2))
    head = 2 * 30 * 32 * (32 + 300)
    assert two - head == 2 * (one - head) > 0


@pytest.mark.parametrize("size", [size for size in BERT_SIZES if size != "minilm"])  # no architecture has its sizes
@pytest.mark.parametrize(
    "name, family, own",
    [
        ("littlebird", "littlebird", {}),
        ("full", "roberta_full", {}),
        ("bigbird-itc", "bigbird_itc", {}),
        ("bigbird-etc G=128", "bigbird_etc", {"global_tokens": 128}),
        ("longformer", "longformer", {}),
    ],
)
def test_sizes_are_the_architectures(name, family, own, size):
    """What the benchmark sets are the sizes of the architecture itself."""
    from argparse import Namespace

    from fairseq.data import Dictionary
    from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY

    from fairseq_littlebird.benchmarks.workload import Workload

    arch, given, words = f"{family}_{size}", Namespace(max_positions=1024, **own), Dictionary()
    ARCH_CONFIG_REGISTRY[arch](given)
    with torch.device("meta"):
        expected = ARCH_MODEL_REGISTRY[arch].build_model(vars(given), Namespace(source_dictionary=words))
        found = build(name, Workload(SIZES[size], architectures.LAYERS[size], 1024, vocabulary=len(words))).model
    shapes, wanted = ({k: v.shape for k, v in model.state_dict().items()} for model in (found, expected))
    assert shapes == wanted
    kept = {k: v for k, v in vars(expected.cfg).items() if "dropout" not in k}
    assert {k: v for k, v in vars(found.cfg).items() if "dropout" not in k} == kept


def test_times_of_all(workload):
    times, remarks = time_models(workload, OURS, 1)
    assert list(times) == [*OURS, "floor"] and remarks == dict.fromkeys(OURS, "")
    assert all(0 < t.fastest <= t.median <= t.slowest for t in times.values())


def test_a_peak_holds_weights_and_gradients(workload):
    """Of so many words that nothing else counts: weights forward; weights, gradients and their making in training."""
    large = dataclasses.replace(workload, vocabulary=60_000)
    weights = sum(p.numel() * p.element_size() for p in build("littlebird", large).parameters())
    forward, training = (
        fresh_process(model_peak, dataclasses.replace(large, mode=mode), "littlebird") for mode in MODES
    )
    assert weights < forward < training and training > 2 * weights


def test_what_does_not_fit_is_left_out(workload, monkeypatch):
    def peak(function, workload, name, *more, **unused):
        if function is time_models:
            return time_models(workload, name, *more)
        if name == "full":
            raise OutOfMemory
        return 2**20

    monkeypatch.setattr("fairseq_littlebird.benchmarks.comparison.fresh_process", peak)
    steps = []
    found = compare(EFFICIENCY, workload, ["littlebird", "full"], 1, memory=True, done=steps.append)
    assert [cell.model for cell in found] == ["littlebird", "floor"] and sum(steps) == 4
    assert (found[0].peak_mib, found[0].peak_kib_per_token, found[0].vocabulary) == (1.0, None, 300)
    with pytest.raises(OutOfMemory, match="out of memory; give it more"):
        compare(EFFICIENCY, workload, ["full", "littlebird"], 1, memory=True)


def test_an_allocation_that_fails_is_out_of_memory():
    with pytest.raises(OutOfMemory):
        fresh_process(torch.empty, 2**60)


def test_the_picture_has_four_panels_and_a_line_for_each_model(tmp_path, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    kinds = {"int": 1, "float": 1.5, "bool": False, "str": "x", "float | None": None}
    values = {field.name: kinds[field.type] for field in dataclasses.fields(cells.Cell)}
    models = ["littlebird", "longformer", "bigbird-etc G=64", "bigbird-etc G=128", "transformers-longformer"]
    rows = [
        cells.Cell(
            **values
            | {"benchmark": "efficiency", "model": model, "mode": mode, "length": length, "peak_mib": 512.0 * n}
            | {"median_ms": 1000.0 * n, "fastest_ms": 900.0 * n, "slowest_ms": 1500.0 * n}
        )
        for n, model in enumerate([*models, "floor"], 1)
        for mode in MODES
        for length in (1024, 2048)
        if (model, length) != ("longformer", 2048)  # had no memory
    ]
    figures = []
    monkeypatch.setattr(pyplot, "close", figures.append)
    for kind in ("png", "svg"):
        plot.draw(rows, tmp_path / f"a.{kind}")
        assert (tmp_path / f"a.{kind}").stat().st_size > 10_000
    figure = figures[0]
    assert [axis.get_title() for axis in figure.axes] == [
        "peak memory, training",
        "peak memory, inference",
        "latency, training",
        "latency, inference",
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == models
    memory, latency = figure.axes[0], figure.axes[2]
    assert [list(line.get_ydata()) for line in memory.lines] == [[0.5, 0.5], [1.0], [1.5, 1.5], [2.0, 2.0], [2.5, 2.5]]
    low, high = (latency.containers[0][2][0].get_segments()[0][end][1] for end in (0, 1))
    assert (low, high) == (0.9, 1.5)
    ours, dashed = memory.lines[1], memory.lines[4]
    assert ours.get_color() == dashed.get_color() and (ours.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert memory.lines[2].get_color() > memory.lines[3].get_color()  # lighter with fewer global tokens
