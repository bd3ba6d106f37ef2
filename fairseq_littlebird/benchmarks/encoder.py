"""Whole encoders side by side: LittleBird, its peers, and the floor of its matrix products."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fairseq_littlebird.benchmarks.comparison import Benchmark
from fairseq_littlebird.benchmarks.floor import floor_run, layer_products, together
from fairseq_littlebird.benchmarks.memory import added_peak
from fairseq_littlebird.benchmarks.peers import PEERS, remark
from fairseq_littlebird.benchmarks.timing import FLOOR, Measured, interleaved
from fairseq_littlebird.benchmarks.workload import PAD, SIZES, Workload
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder
from fairseq_littlebird.modules.size_names import FORM

OURS = "littlebird"
INT8 = f"{OURS}-int8"


class LittleBird(nn.Module):
    """Our encoder behind the call of the peers: tokens and padding mask to the last hidden states."""

    def __init__(self, config: LittleBirdConfig) -> None:
        super().__init__()
        self.encoder = LittleBirdEncoder(config)
        self.dtype: torch.dtype | None = None  # where it is not the workload's

    def forward(self, tokens: Tensor, padding_mask: Tensor | None) -> Tensor:
        hidden: Tensor = self.encoder(tokens, padding_mask=padding_mask)
        return hidden


def littlebird(workload: Workload) -> LittleBird:
    """Ours, in the form that the sizes have."""
    sizes = workload.sizes
    form: dict[str, Any] = {}
    if sizes.modernbert:
        form = dict.fromkeys(FORM, True) | {"ffn_embed_dim": sizes.gated_ffn_width}
    config = LittleBirdConfig(
        workload.vocabulary,
        PAD,
        **workload.encoder_sizes() | form,
        pack_size=sizes.pack_size,
        block_size=sizes.block_size,
    )
    return LittleBird(config)


def littlebird_bfloat16(workload: Workload) -> LittleBird:
    """Ours in bfloat16 beside ours in the workload's type."""
    model = littlebird(workload)
    model.dtype = torch.bfloat16
    return model


def littlebird_int8(workload: Workload) -> LittleBird:
    """Ours with its linear layers quantized dynamically, for forward passes on a CPU."""
    model = littlebird(workload)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and yet the only one in torch itself
        torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, torch.qint8, inplace=True)
    return model


PRECISIONS: dict[str, Callable[[Workload], nn.Module]] = {
    f"{OURS}-bfloat16": littlebird_bfloat16,
    INT8: littlebird_int8,
}


def fairseq_roberta(workload: Workload) -> nn.Module:
    """fairseq's own, imported where it is asked for."""
    from fairseq_littlebird.benchmarks.fairseq_peer import FairseqRoberta

    return FairseqRoberta(workload)


OTHERS: dict[str, Callable[[Workload], nn.Module]] = {**PRECISIONS, "fairseq": fairseq_roberta}
"""What is compared only where it is named."""
ENCODERS: dict[str, Callable[[Workload], nn.Module]] = {OURS: littlebird, **OTHERS, **PEERS}


def encoder_run(model: nn.Module, workload: Workload) -> Callable[[], None]:
    """One pass of a model, ready to run. Gradients are there already, and add up."""
    model.to(workload.device, getattr(model, "dtype", None) or workload.torch_dtype).train(workload.backward)
    forward = torch.compile(model) if workload.compiled else model
    tokens = workload.tokens()
    padding_mask = tokens.eq(PAD) if workload.padding else None
    gradient = workload.floating(*tokens.shape, workload.sizes.width)
    if workload.backward:
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter).zero_()  # empty, then zero: its pages are touched

    def run() -> None:
        with torch.set_grad_enabled(workload.backward):
            states = forward(tokens, padding_mask)
        if workload.backward:
            states.backward(gradient.to(states.dtype))

    return run


def time_encoders(workload: Workload, names: Sequence[str], rounds: int) -> Measured:
    """Medians of all models, and of the floor, that run in turn in this process.

    Args:
        workload: what each is given.
        names: of ``ENCODERS``.
        rounds: how often each runs, besides a first time.
    """
    torch.set_num_threads(workload.threads)
    torch.manual_seed(0)
    models = {name: ENCODERS[name](workload) for name in names}
    runs = {name: encoder_run(model, workload) for name, model in models.items()}
    products = layer_products(workload.sizes, workload.lengths(), together(workload))
    runs[FLOOR] = floor_run(products * workload.layers, workload)
    times = interleaved(runs, rounds, workload.device)
    return Measured(times, {name: remark(model) for name, model in models.items()})


def encoder_peak(workload: Workload, name: str) -> int:
    """Bytes that a pass adds at its peak to weights, gradients and inputs; to be called in a fresh process."""
    torch.set_num_threads(workload.threads)
    twin = dataclasses.replace(workload, sizes=SIZES["tiny"], layers=1, length=64, batch=1)
    encoder_run(ENCODERS[name](twin), twin)()  # loads libraries and starts threads, which stay
    return added_peak(encoder_run(ENCODERS[name](workload), workload), workload.device)


ENCODER = Benchmark("encoder", time_encoders, encoder_peak, layered=True)
