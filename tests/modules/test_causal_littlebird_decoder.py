"""A decoder with LittleBird's causal attention: its pattern, its slopes, and incremental decoding."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.modules import CausalLittleBirdConfig, CausalLittleBirdDecoder

SIZES = dict(vocab_size=30, layers=3, embed_dim=16, ffn_embed_dim=24, heads=2, block_size=4)
SIZES |= dict(dropout=0.0, attention_dropout=0.0)


def build(**changes):
    """A small float64 decoder in evaluation mode, always of the same parameters."""
    torch.manual_seed(0)
    built = CausalLittleBirdDecoder(CausalLittleBirdConfig(**SIZES | changes))
    for parameter in built.parameters():  # weights large enough that everything has a say
        parameter.data += 0.2 * torch.randn_like(parameter)
    return built.double().eval()


def text(*shape, seed=0):
    return torch.randint(4, 30, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("j", [2, 5, 13])
def test_what_is_before_a_token_stays_bit_for_bit(j):
    """It reaches the next block in each layer; from block 0 it reaches every token."""
    decoder, tokens = build(), text(1, 60)
    other = tokens.clone()
    other[0, j] = 4 + (tokens[0, j] - 3) % 26
    changed = (decoder(tokens) != decoder(other))[0].any(dim=1).nonzero().flatten()
    assert changed.min() == j and changed.max() == (59 if j < 4 else (j // 4 + 4) * 4 - 1)


@pytest.mark.parametrize("pieces", [[1], [7, 1, 1], [50, 1], [4], [8, 24, 1]])
def test_reading_on_equals_reading_everything(pieces):
    decoder, tokens = build(), text(3, 71)
    state, parts = decoder.decoding_state(), []
    with torch.no_grad():
        while state.count < 71:
            parts.append(decoder.extend(tokens[:, state.count :][:, : pieces[len(parts) % len(pieces)]], state))
        torch.testing.assert_close(torch.cat(parts, dim=1), decoder(tokens))


def test_reading_on_in_another_order():
    decoder, tokens, order = build(), text(3, 40), torch.tensor([2, 0, 0, 1])
    state = decoder.decoding_state()
    with torch.no_grad():
        decoder.extend(tokens[:, :34], state)
        state.reorder(order)
        last = decoder.extend(tokens[order, 34:], state)
        torch.testing.assert_close(last, decoder(tokens)[order, 34:])


def test_memory_does_not_grow_with_what_was_read():
    decoder = build()
    state, sizes = decoder.decoding_state(), []
    with torch.no_grad():
        for _ in range(4):
            decoder.extend(text(1, 60), state)
            sizes.append([t.untyped_storage().nbytes() for b in state.buffers for t in (b.k, b.v)])
    assert sizes[0] == sizes[-1] and len(sizes[0]) == 3 * 2


def test_finite_at_eight_times_the_length():
    decoder = build().float()
    out = decoder(text(1, 8 * 128))
    out.square().mean().backward()
    assert out.isfinite().all() and all(p.grad.isfinite().all() for p in decoder.parameters())


def test_names_of_the_parameters():
    """As an encoder's, without a pack and without what there is no right side for."""
    names = {name.removeprefix("layers.1.") for name, _ in build().named_parameters() if "layers.1." in name}
    linear = {f"attention.{kind}" for kind in ("q", "k", "v", "out")} | {"ffn.fc1", "ffn.fc2"}
    linear |= {"attention_norm", "ffn_norm"}
    expected = {f"{name}.{kind}" for name in linear for kind in ("weight", "bias")}
    assert names == expected | {"attention.slopes.alpha", "attention.slopes.beta"}


def test_another_block_size_is_no_other_parameter():
    build(block_size=16).load_state_dict(build().state_dict())


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"pack_size": 3}, r"pack size 3: causal masking cannot be applied to pack and unpack attention .*Limitations"),
        ({"block_size": 0}, "block size 0 is not positive"),
        ({"word_embed_dim": 8}, "token embeddings of width 8"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CausalLittleBirdConfig(**SIZES | changes)
