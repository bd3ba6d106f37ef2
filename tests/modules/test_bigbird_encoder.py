"""The BigBird-ITC encoder: its equations, what it shares with full attention, padding, random blocks, checkpointing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from fairseq_littlebird.attention.bigbird import dense_bigbird_attention, random_blocks
from fairseq_littlebird.modules.bigbird_encoder import BigBirdEncoder
from fairseq_littlebird.modules.config import BigBirdConfig, FullAttentionConfig
from fairseq_littlebird.modules.full_attention_encoder import FullAttentionEncoder

SIZES = dict(
    vocab_size=30, layers=3, embed_dim=16, ffn_embed_dim=24, heads=2, max_positions=200,
    dropout=0.0, attention_dropout=0.0,
)  # fmt: skip
SMALL = BigBirdConfig(**SIZES, block_size=4)
PAD = SMALL.padding_idx


def build(cls=BigBirdEncoder, config=SMALL, **changes):
    """A small float64 encoder in evaluation mode; the same parameters each time."""
    torch.manual_seed(0)
    encoder = cls(replace(config, **changes)).double().eval()
    for parameter in encoder.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return encoder


def text(*shape):
    return torch.randint(4, SMALL.vocab_size, shape, generator=torch.Generator().manual_seed(1))


def batch(*lengths):
    tokens = text(len(lengths), max(lengths))
    return tokens.masked_fill(torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None], PAD)


@pytest.mark.parametrize(
    ("kind", "ends"), [("seeded", "first_last"), ("first_block", "first_last"), ("seeded", "first_two")]
)
def test_each_layer_equals_the_equations(kind, ends):
    """With random blocks of its own."""
    encoder, L = build(random_attention=kind, global_blocks=ends), 58
    states, internals = [], []
    encoder(text(1, L), states=states, internals=internals)
    for n, layer in enumerate(encoder.layers):
        x, H, own = states[n], 2, layer.attention
        q, k, v = (project(x).view(1, L, H, 8).transpose(1, 2) for project in (own.q, own.k, own.v))
        blocks = random_blocks(kind, 15, 3, H, 3, 0, ends)[n, None]
        attended = (
            dense_bigbird_attention(q, k, v, None, 4, blocks, global_blocks=ends)[0].transpose(1, 2).reshape(1, L, 16)
        )
        a = layer.attention_norm(layer.attention.out(attended) + x)
        torch.testing.assert_close(states[n + 1], layer.ffn_norm(layer.ffn.fc2(F.gelu(layer.ffn.fc1(a))) + a))
        torch.testing.assert_close(internals[n].q, q)


def test_short_inputs_are_full_attentions():
    """Its keys too: the same parameters in both."""
    sparse = build()
    full = build(FullAttentionEncoder, FullAttentionConfig(**SIZES))
    full.load_state_dict(sparse.state_dict())
    for L in (1, 4, 9, 28):  # up to 4 + R blocks
        torch.testing.assert_close(sparse(text(1, L)), full(text(1, L)))
    torch.testing.assert_close(
        build(random_attention="first_block")(text(1, 44)), full(text(1, 44))
    )  # up to 5 + 2R, as in transformers
    for other in (sparse, build(random_attention="first_block")):
        assert not torch.allclose(other(text(1, 48)), full(text(1, 48)))


@pytest.mark.parametrize(("kind", "ends"), [("seeded", "first_two"), ("first_block", "first_last")])
def test_a_row_alone_equals_it_in_a_padded_batch(kind, ends):
    encoder, lengths = build(random_attention=kind, global_blocks=ends), (70, 61, 60, 45, 17, 4, 1)
    tokens = batch(*lengths)
    together = encoder(tokens)
    for row, L in enumerate(lengths):
        torch.testing.assert_close(together[row, :L], encoder(tokens[row : row + 1, :L])[0])


def test_padding_never_matters():
    encoder, tokens = build(), batch(50, 21)
    more = F.pad(tokens, (0, 13), value=PAD)
    row_of_padding = torch.cat([more, torch.full_like(more[:1], PAD)])
    expected = encoder(tokens)[1, :21]
    assert encoder(row_of_padding).isfinite().all()
    torch.testing.assert_close(encoder(row_of_padding)[1, :21], expected)
    other_tokens = torch.where(tokens == PAD, 7, tokens)
    torch.testing.assert_close(encoder(other_tokens, padding_mask=tokens == PAD)[1, :21], expected)


def test_the_seed_chooses_the_random_blocks():
    tokens = text(1, 60)
    one, same, other = (build(seed=seed)(tokens) for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.allclose(one, other)
    assert torch.equal(build().train()(tokens), one), "training sees other blocks than evaluation"
    short = text(1, 28)
    assert torch.equal(build(seed=1)(short), build()(short)), "seen in full, whatever the seed"


def test_a_pass_leaves_random_state_alone():
    encoder, before = build().train(), torch.random.get_rng_state()
    encoder(batch(60, 33))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_time_and_memory_are_linear(largest_tensor):
    largest = []
    for L in (1024, 2048):
        encoder = build(layers=1, block_size=16, max_positions=2048).float().train()
        with largest_tensor() as mode:
            encoder(text(1, L)).sum().backward()
        largest.append(mode.numel)
    assert largest[1] <= 2.1 * largest[0] and largest[1] < 2048 * 1024


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"block_size": 0}, "block size 0 is not positive"),
        ({"random_blocks": -1}, "-1 random blocks are negative"),
        ({"random_attention": "other"}, "'other' is not one of seeded, first_block"),
        ({"seed": 2**32}, "random seed 4294967296 is not between 0 and 4294967295"),
    ],
)
def test_sizes_that_do_not_fit(changes, text):
    with pytest.raises(ValueError, match=text):
        replace(SMALL, **changes)
