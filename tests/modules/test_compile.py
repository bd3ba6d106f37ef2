"""torch.compile: one graph without a break, for any length."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from fairseq_littlebird.modules.bigbird_encoder import BigBirdEncoder
from fairseq_littlebird.modules.config import BigBirdConfig, LittleBirdConfig
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder

CONFIG = LittleBirdConfig(
    vocab_size=30, layers=2, embed_dim=16, ffn_embed_dim=24, heads=2, pack_size=8, block_size=4,
    dropout=0.0, attention_dropout=0.0,
)  # fmt: skip


pytestmark = pytest.mark.slow


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    torch._dynamo.reset()
    yield LittleBirdEncoder(CONFIG).double()
    torch._dynamo.reset()


def text(length):
    tokens = torch.randint(4, CONFIG.vocab_size, (2, length))
    tokens[1, length - 3 :] = CONFIG.padding_idx
    return tokens


def test_any_length_is_one_graph(encoder):
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(encoder.eval(), backend=counter, dynamic=True, fullgraph=True)
    compilations = set()
    with torch.no_grad():
        for length in (9, 10, 23, 64, 131):
            tokens = text(length)
            real = tokens != CONFIG.padding_idx
            torch.testing.assert_close(compiled(tokens)[real], encoder(tokens)[real])
            compilations.add(counter.frame_count)
    assert len(compilations) == 1  # none after the first length


def test_gradients(encoder):
    compiled = torch.compile(encoder.train(), backend="aot_eager", dynamic=True, fullgraph=True)
    for length in (9, 23):
        tokens = text(length)
        real = (tokens != CONFIG.padding_idx)[..., None]
        gradients = []
        for model in (compiled, encoder):
            encoder.zero_grad()
            (model(tokens) * real).sin().sum().backward()
            gradients.append({name: p.grad.clone() for name, p in encoder.named_parameters()})
        torch.testing.assert_close(*gradients)


def test_bigbird_reads_its_blocks_outside_of_the_graph():
    torch._dynamo.reset()
    sizes = vars(CONFIG).keys() & {field.name for field in dataclasses.fields(BigBirdConfig)}
    encoder = BigBirdEncoder(
        BigBirdConfig(**{name: getattr(CONFIG, name) for name in sizes} | {"block_size": 4})
    ).double()
    counter = CompileCounterWithBackend("eager")
    compiled = torch.compile(encoder.eval(), backend=counter, dynamic=True)
    with torch.no_grad():
        for length in (23, 64):
            tokens = text(length)
            real = tokens != CONFIG.padding_idx
            torch.testing.assert_close(compiled(tokens)[real], encoder(tokens)[real])
    assert counter.frame_count
    torch._dynamo.reset()


def test_dropout_is_drawn_anew_each_time(encoder):
    encoder = LittleBirdEncoder(LittleBirdConfig(**vars(CONFIG) | {"dropout": 0.5, "attention_dropout": 0.5})).train()
    compiled = torch.compile(encoder, backend="aot_eager", dynamic=True, fullgraph=True)
    tokens = text(20)
    torch.manual_seed(1)
    one, other = compiled(tokens), compiled(tokens)
    torch.manual_seed(1)
    again = compiled(tokens)
    assert not torch.equal(one, other) and torch.equal(one, again)
