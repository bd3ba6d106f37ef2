"""A decoder with causal windows: attention pattern, positions and incremental decoding."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.attention.causal_window import alibi_bias
from fairseq_littlebird.input_error import InputError
from fairseq_littlebird.modules import CausalWindowConfig, CausalWindowDecoder
from fairseq_littlebird.modules.attention import causal_window
from fairseq_littlebird.modules.config import CAUSAL_POSITIONS
from fairseq_littlebird.modules.token_annotations import NO_ANNOTATIONS

SIZES = dict(vocab_size=30, layers=3, embed_dim=16, ffn_embed_dim=24, heads=2, max_positions=300)
SIZES |= dict(dropout=0.0, attention_dropout=0.0)
WINDOWS = dict(attention_window=(2, 4, 6), dilations=((1, 1), (1, 2), (1, 3)))
REACH = 2 + 4 * 2 + 6 * 3


def build(positions="alibi", **changes):
    """A small float64 decoder in evaluation mode, always of the same parameters."""
    torch.manual_seed(0)
    built = CausalWindowDecoder(CausalWindowConfig(**SIZES | WINDOWS | {"positions": positions} | changes))
    for parameter in built.parameters():  # weights large enough that everything has a say
        parameter.data += 0.2 * torch.randn_like(parameter)
    return built.double().eval()


def text(*shape, seed=0):
    return torch.randint(4, 30, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("positions", CAUSAL_POSITIONS)
def test_the_receptive_field_is_the_sum_of_the_windows(positions):
    """Every output before the token that changes stays bit for bit as it was."""
    decoder, tokens, j = build(positions), text(1, 90), 11
    other = tokens.clone()
    other[0, j] = 4 + (tokens[0, j] - 3) % 26
    changed = (decoder(tokens) != decoder(other))[0].any(dim=1).nonzero().flatten()
    assert changed.min() == j and changed.max() == j + REACH


def test_windows_change_no_parameter():
    few, many = build(), build(attention_window=(20, 40, 80), dilations=((2, 2),) * 3)
    assert [(n, p.shape) for n, p in few.named_parameters()] == [(n, p.shape) for n, p in many.named_parameters()]
    many.load_state_dict(few.state_dict())


def test_a_window_as_long_as_the_text_is_full_causal_attention():
    """Whatever the window, once everything is in it."""
    some = dict(dilations=((1, 1),) * 3)
    one, other = build(attention_window=(40, 40, 40), **some), build(attention_window=(400, 60, 42), **some)
    torch.testing.assert_close(one(text(2, 41)), other(text(2, 41)))


def test_relative_sinusoids_equal_the_definition():
    """Scores (q + u) k + (q + v) W s(i - j), over all that is in the window (Dai et al., 2019)."""
    decoder = build("relative_sinusoidal")
    module = decoder.layers[2].attention
    relative, x = module.relative, torch.randn(1, 25, 16).double()
    q, k, v = (project(x)[0].view(25, 2, 8) for project in (module.q, module.k, module.v))
    expected = torch.zeros(25, 2, 8).double()
    for h, d in enumerate((1, 3)):
        for i in range(25):
            seen = [i - r * d for r in range(7) if i - r * d >= 0]
            scores = []
            for j in seen:
                angles = (i - j) * 10000.0 ** (-2 * torch.arange(8).double() / 16)
                s = relative.projection(torch.cat([angles.sin(), angles.cos()])).view(2, 8)[h]
                score = (q[i, h] + relative.content[h]) @ k[j, h] + (q[i, h] + relative.position[h]) @ s
                scores.append(score / 8**0.5)
            expected[i, h] = torch.stack(scores).softmax(0) @ v[seen, h]
    out, _ = module(x, decoder.attention_context(x, None, torch.zeros(1, 25, dtype=torch.bool), NO_ANNOTATIONS))
    torch.testing.assert_close(out, module.out(expected.view(1, 25, 16)), rtol=1e-5, atol=1e-5)  # float32 angles


@pytest.mark.parametrize("positions", CAUSAL_POSITIONS)
@pytest.mark.parametrize("pieces", [[1], [7, 1, 1], [50, 1], [2]])
def test_reading_on_equals_reading_everything(positions, pieces):
    decoder, tokens = build(positions), text(3, 101)
    state, parts = decoder.decoding_state(), []
    with torch.no_grad():
        while state.count < 101:
            parts.append(decoder.extend(tokens[:, state.count :][:, : pieces[len(parts) % len(pieces)]], state))
        torch.testing.assert_close(torch.cat(parts, dim=1), decoder(tokens))


def test_reading_on_in_another_order():
    decoder, tokens, order = build(), text(3, 40), torch.tensor([2, 0, 0, 1])
    state = decoder.decoding_state()
    with torch.no_grad():
        decoder.extend(tokens[:, :39], state)
        state.reorder(order)
        last = decoder.extend(tokens[order, 39:], state)
        torch.testing.assert_close(last, decoder(tokens)[order, 39:])


def test_memory_does_not_grow_with_what_was_read():
    decoder = build()
    state, sizes = decoder.decoding_state(), []
    with torch.no_grad():
        for _ in range(4):
            decoder.extend(text(1, 60), state)
            sizes.append([buffer.k.untyped_storage().nbytes() for buffer in state.buffers])
    assert sizes[0] == sizes[-1] == [(1 + reach) * 16 * 8 for reach in (2, 8, 18)]


@pytest.mark.parametrize("positions", ["alibi", "relative_sinusoidal"])
def test_finite_at_eight_times_the_length(positions):
    decoder = build(positions).float()
    out = decoder(text(1, 8 * 128))
    out.square().mean().backward()
    assert out.isfinite().all() and all(p.grad.isfinite().all() for p in decoder.parameters())


def test_biases_are_made_once_for_all_layers_alike(monkeypatch):
    made = []
    monkeypatch.setattr(
        causal_window, "alibi_bias", lambda *arguments: made.append(arguments) or alibi_bias(*arguments)
    )
    decoder = build(attention_window=(4, 6, 4), dilations=((1, 2),) * 3)
    decoder(text(1, 30))
    assert [windows for _, windows, _ in made] == [(4, 4), (6, 6)]


def test_positions_past_the_learned_ones_are_one_line():
    decoder = build("learned", max_positions=20)
    state = decoder.decoding_state()
    decoder.extend(text(1, 20), state)
    with pytest.raises(InputError, match="position 20 is past the 20 learned ones"):
        decoder.extend(text(1, 1), state)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"attention_window": (4, 4)}, "2 attention windows do not fit 3 layers"),
        ({"attention_window": (4, 4, 7)}, "attention window 7 is not an even number of at least 2"),
        ({"attention_window": (4, 0, 4)}, "attention window 0 is not an even number of at least 2"),
        ({"dilations": ((1, 1),)}, "attention dilations of 1 layers do not fit 3 layers"),
        ({"dilations": ((1, 1), (1,), (1, 1))}, "1 attention dilations do not fit 2 heads"),
        ({"dilations": ((1, 1), (1, 0), (1, 1))}, "attention dilation 0 is not positive"),
        ({"positions": "bialibi"}, "positions 'bialibi' is not one of alibi, relative_sinusoidal, learned"),
        ({"word_embed_dim": 8}, "token embeddings of width 8"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CausalWindowConfig(**SIZES | WINDOWS | changes)
