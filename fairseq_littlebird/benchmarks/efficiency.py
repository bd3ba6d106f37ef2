"""Whole models with a masked-LM head: the peak of memory and the latency of figure 3.

Legend: B batch, L tokens, N masked tokens, C width, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.benchmarks.architectures import build
from fairseq_littlebird.benchmarks.comparison import Benchmark
from fairseq_littlebird.benchmarks.floor import Product, floor_run, layer_products, together
from fairseq_littlebird.benchmarks.memory import added_peak
from fairseq_littlebird.benchmarks.peers import remark
from fairseq_littlebird.benchmarks.timing import FLOOR, Measured, interleaved
from fairseq_littlebird.benchmarks.workload import PAD, SIZES, Workload

SHARE = 0.15  # of the tokens are masked
VOCABULARY = 50_265  # RoBERTa's


def masked_tokens(tokens: Tensor) -> Tensor:
    """<bool>[B, L]: a random 15 % of the tokens <int64>[B, L] that are not padding, one at least."""
    draw = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(0)).to(tokens.device)
    draw = draw.masked_fill(tokens == PAD, 2.0)
    return draw <= draw.flatten().kthvalue(math.ceil(SHARE * int((tokens != PAD).sum()))).values


def model_run(model: nn.Module, workload: Workload) -> Callable[[], None]:
    """One pass of a model, ready to run: scores of the masked tokens, or the step of a training without its optimizer.

    Gradients are allocated in each step, as in fairseq's training, and freed at its end.
    """
    model.to(workload.device, workload.torch_dtype).train(workload.backward)
    forward = torch.compile(model) if workload.compiled else model
    original = workload.tokens()
    padding_mask = original.eq(PAD) if workload.padding else None
    masked = masked_tokens(original)
    tokens = original.masked_fill(masked, workload.vocabulary - 1)

    def run() -> None:
        with torch.set_grad_enabled(workload.backward):
            scores = forward(tokens, padding_mask, masked)
        if workload.backward:
            F.cross_entropy(scores.float(), original[masked]).backward()
            model.zero_grad(set_to_none=True)

    return run


def model_products(workload: Workload) -> list[Product]:
    """Those of LittleBird's layers, and of the head on the masked tokens."""
    lengths, C = workload.lengths(), workload.sizes.width
    layer = layer_products(workload.sizes, lengths, together(workload))
    N = math.ceil(SHARE * sum(lengths))
    head = [Product("head", 1, N, C, C), Product("head", 1, N, C, workload.vocabulary)]
    return [product._replace(times=product.times * workload.layers) for product in layer] + head


def time_models(workload: Workload, names: Sequence[str], rounds: int) -> Measured:
    """Medians of all models, and of the floor, that run in turn in this process.

    Args:
        workload: what each is given.
        names: as ``build`` takes them.
        rounds: how often each runs, besides a first time.
    """
    torch.set_num_threads(workload.threads)
    torch.manual_seed(0)
    models = {name: build(name, workload) for name in names}
    runs = {name: model_run(model, workload) for name, model in models.items()}
    runs[FLOOR] = floor_run(model_products(workload), workload)
    times = interleaved(runs, rounds, workload.device)
    return Measured(times, {name: remark(model) for name, model in models.items()})


def model_peak(workload: Workload, name: str) -> int:
    """Bytes of weights, and of what a pass adds to them at its peak; to be called in a fresh process."""
    torch.set_num_threads(workload.threads)
    twin = dataclasses.replace(workload, sizes=SIZES["tiny"], layers=1, length=64, batch=1, vocabulary=1000)
    model_run(build(name, twin), twin)()  # loads libraries and starts threads, which stay
    model = build(name, workload)
    run = model_run(model, workload)
    return sum(p.numel() * p.element_size() for p in model.parameters()) + added_peak(run, workload.device)


EFFICIENCY = Benchmark("efficiency", time_models, model_peak, layered=False, whole=True)
