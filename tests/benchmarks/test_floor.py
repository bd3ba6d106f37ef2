"""The products that a layer cannot do without: how many, and that they run."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fairseq_littlebird.benchmarks.encoder import littlebird
from fairseq_littlebird.benchmarks.floor import floor_run, layer_products, together, window_products
from fairseq_littlebird.benchmarks.workload import MODES, SIZES


def gigaflops(products):
    parts = dict.fromkeys(product.part for product in products)
    return {part: sum(p.flops for p in products if p.part == part) / 1e9 for part in parts}


def test_a_base_layer_at_4096():
    found = gigaflops(layer_products(SIZES["base"], [4096]))
    expected = {"projections": 29.0, "feed-forward": 38.7, "projections of P": 0.2, "windows": 4.0, "pack": 0.8}
    assert found == pytest.approx(expected, abs=0.05)
    assert sum(found.values()) == pytest.approx(72.7, abs=0.05)


@pytest.mark.parametrize("length", [1, 15, 16, 63, 64, 100])
def test_how_queries_stand_together_changes_nothing(workload, length):
    by_block, at_once = (window_products(workload.sizes, length, queries) for queries in (0, length))
    assert sum(p.flops for p in by_block) == sum(p.flops for p in at_once)
    keys = 8 + min(64, length)
    assert sum(p.flops for p in at_once) == 4 * length * keys * 32


def test_padding_costs_nothing(workload):
    whole, half = (layer_products(workload.sizes, rows) for rows in ([96, 96], [96]))
    assert sum(p.flops for p in whole) == 2 * sum(p.flops for p in half)


def test_without_a_pack_stream(workload):
    sizes = dataclasses.replace(workload.sizes, pack_size=0)
    products = layer_products(sizes, [96])
    assert {p.part for p in products} == {"projections", "feed-forward", "windows"}
    assert gigaflops(products)["projections"] == pytest.approx(2 * 96 * 32 * 32 * 4 / 1e9)


@pytest.mark.parametrize("mode, times", [(MODES[0], 1), (MODES[1], 3)])
@pytest.mark.parametrize("rows", [[100, 37], [64]])
def test_what_runs_is_what_is_counted(workload, mode, times, rows):
    workload = dataclasses.replace(workload, mode=mode)
    products = layer_products(workload.sizes, rows, together(workload))
    run = floor_run(products, workload)
    with FlopCounterMode(display=False) as counter:
        run()
    assert counter.get_total_flops() == times * sum(p.flops for p in products)


@pytest.mark.parametrize("modernbert", [False, True])
def test_the_linear_layers_of_the_encoder_are_counted(workload, modernbert):
    sizes = dataclasses.replace(workload.sizes, modernbert=modernbert)
    workload = dataclasses.replace(workload, length=64, batch=1, layers=1, sizes=sizes)
    encoder = littlebird(workload)
    products = layer_products(workload.sizes, workload.lengths())
    # under autocast every layer is a module of its own, which the counter sees
    with torch.autocast("cpu", torch.bfloat16), FlopCounterMode(display=False) as counter:
        encoder(workload.tokens(), None)
    linear = sum(p.flops for p in products if p.part in ("projections", "projections of P", "feed-forward"))
    product = "aten.mm" if modernbert else "aten.addmm"  # without biases
    counted = sum(n for operation, n in counter.get_flop_counts()["Global"].items() if str(operation) == product)
    assert counted == linear
