"""What holds of every encoder, and of LittleBird's ablations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fairseq_littlebird.layer_norm import LayerNorm
from fairseq_littlebird.modules import (
    BigBirdConfig,
    BigBirdEncoder,
    CausalLittleBirdConfig,
    CausalLittleBirdDecoder,
    CausalWindowConfig,
    CausalWindowDecoder,
    ETCConfig,
    ETCEncoder,
    FullAttentionConfig,
    FullAttentionEncoder,
    LittleBirdConfig,
    LittleBirdEncoder,
    LongformerConfig,
    LongformerEncoder,
    TokenAnnotations,
)

SIZES = dict(vocab_size=30, layers=3, embed_dim=16, ffn_embed_dim=24, heads=2, max_positions=64)
SIZES |= dict(dropout=0.0, attention_dropout=0.0)
PAD = 1
MODERN = {"normalize_before": True, "gated_feed_forward": True, "bias_free": True}
LITTLEBIRD = LittleBirdEncoder, LittleBirdConfig, dict(pack_size=3, block_size=4)
CAUSAL_WINDOWS = (
    CausalWindowDecoder,
    lambda **sizes: CausalWindowConfig(
        **{"attention_window": (4, 6, 4), "dilations": ((1, 1), (1, 1), (1, 2))} | sizes
    ),
)
ENCODERS = {
    "full attention": (FullAttentionEncoder, FullAttentionConfig, {}),
    "full attention in ModernBERT's form": (
        FullAttentionEncoder,
        FullAttentionConfig,
        {"positions": "rotary", "attention_window": (0, 4, 4), **MODERN},
    ),
    "littlebird": LITTLEBIRD,
    "littlebird in ModernBERT's form": (*LITTLEBIRD[:2], LITTLEBIRD[2] | MODERN),
    "littlebird with a projection, in ModernBERT's form": (
        *LITTLEBIRD[:2],
        LITTLEBIRD[2] | MODERN | {"word_embed_dim": 8},
    ),
    "littlebird without a pack, in ModernBERT's form": (*LITTLEBIRD[:2], dict(pack_size=0, block_size=4, **MODERN)),
    "littlebird without a pack": (*LITTLEBIRD[:2], dict(pack_size=0, block_size=4)),
    "littlebird without a window": (*LITTLEBIRD[:2], LITTLEBIRD[2] | {"window": False}),
    "littlebird without positions": (*LITTLEBIRD[:2], LITTLEBIRD[2] | {"positions": "none"}),
    "littlebird with learned positions": (*LITTLEBIRD[:2], LITTLEBIRD[2] | {"positions": "learned"}),
    "littlebird by the oracle": (*LITTLEBIRD[:2], LITTLEBIRD[2] | {"attention_backend": "dense"}),
    "bigbird": (BigBirdEncoder, BigBirdConfig, dict(block_size=4, random_blocks=1)),
    "etc": (ETCEncoder, ETCConfig, dict(global_tokens=5, local_radius=3, max_distance=2)),
    "causal windows": (*CAUSAL_WINDOWS, {}),
    "causal windows with relative sinusoids": (*CAUSAL_WINDOWS, {"positions": "relative_sinusoidal"}),
    "causal windows with learned positions": (*CAUSAL_WINDOWS, {"positions": "learned"}),
    "causal littlebird": (CausalLittleBirdDecoder, CausalLittleBirdConfig, dict(block_size=4)),
    "causal littlebird of one block": (CausalLittleBirdDecoder, CausalLittleBirdConfig, dict(block_size=64)),
    "longformer": (
        LongformerEncoder,
        LongformerConfig,
        dict(attention_window=(4, 6, 4), dilations=((1, 2), (1, 1), (2, 3))),
    ),
}


@pytest.fixture(params=ENCODERS)
def kind(request):
    return request.param


def build(kind, **changes):
    """A small float64 encoder in evaluation mode, always of the same parameters."""
    encoder, config, own = ENCODERS[kind]
    torch.manual_seed(0)
    built = encoder(config(**SIZES | own | changes)).double().eval()
    for parameter in built.parameters():  # weights large enough that everything has a say
        parameter.data += 0.2 * torch.randn_like(parameter)
    return built


def text(*shape, seed=0):
    return torch.randint(4, 30, shape, generator=torch.Generator().manual_seed(seed))


def annotations(tokens):
    """Segments and global tokens within a sequence's first nine tokens."""
    global_tokens = torch.zeros_like(tokens, dtype=torch.bool)
    global_tokens[:, [0, 5]] = True
    segments = torch.tensor([[1, 3], [4, 7]]).expand(len(tokens), -1, -1)
    return TokenAnnotations(segments=segments, global_tokens=global_tokens)


def run(encoder, tokens, **options):
    return encoder(tokens, annotations=annotations(tokens), **options)


def final(encoder, state):
    """The output, of what the last layer hands on: with norms before the sub-layers it has one more."""
    return getattr(encoder, "final_norm", torch.nn.Identity())(state)


def test_sequences_without_a_token_are_refused(kind):
    with pytest.raises(ValueError, match="^sequences of 0 tokens: give each batch at least one"):
        build(kind)(torch.zeros(2, 0, dtype=torch.long))


@pytest.mark.parametrize("more", [0, 1, 24])  # little padding is computed with, much is left out
def test_a_sequence_alone_equals_itself_in_a_batch(kind, more):
    encoder, alone = build(kind), text(1, 17)
    together = torch.cat([F.pad(alone, (0, more), value=PAD), text(2, 17 + more, seed=1)])
    together[2] = PAD
    result = run(encoder, together)
    torch.testing.assert_close(result[:1, :17], run(encoder, alone))
    assert result.isfinite().all()


def test_a_mask_of_ones_own_hides_what_stands_there(kind):
    encoder, tokens = build(kind), text(1, 12)
    padding = torch.arange(12)[None] >= 9
    other = torch.where(padding, 7, tokens)
    before, after = (run(encoder, t, padding_mask=padding) for t in (tokens, other))
    assert torch.equal(before[:, :9], after[:, :9])


def test_padding_may_be_computed_with_or_left_out(kind, monkeypatch):
    """Outputs of the unpadded tokens and all gradients."""
    tokens = text(3, 30)
    tokens[0, 9:], tokens[2, 10:] = PAD, PAD
    results = []
    for share in (0.01, 1.1):
        monkeypatch.setattr("fairseq_littlebird.modules.unpadding.MIN_PADDING_TO_UNPAD", share)
        encoder = build(kind)
        out = run(encoder, tokens)[tokens != PAD]
        out.square().sum().backward()
        results.append([out, *(p.grad for p in encoder.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_every_parameter_learns(kind):
    """A parameter that the loss never reaches breaks DistributedDataParallel."""
    encoder = build(kind).train()
    run(encoder, text(2, 13)).sin().sum().backward()
    assert [name for name, p in encoder.named_parameters() if p.grad is None] == []


def test_every_norm_is_the_one_that_learns_in_half_precision(kind):
    assert {type(m) for m in build(kind).modules() if isinstance(m, torch.nn.LayerNorm)} == {LayerNorm}


def test_activation_checkpointing_gives_equal_gradients(kind):
    results = []
    for checkpointing in (False, True):
        probabilities = dict(dropout=0.2, attention_dropout=0.3, activation_dropout=0.1)
        encoder = build(kind, **probabilities, checkpoint_activations=checkpointing).train()
        torch.manual_seed(11)
        out = run(encoder, text(2, 21))
        out.square().sum().backward()
        results.append([out, *(p.grad for p in encoder.parameters())])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_layerdrop_skips_in_training_alone(kind):
    encoder, trained, evaluated = build(kind, layerdrop=1.0), [], []
    out = run(encoder.train(), text(1, 9), states=trained)
    run(encoder.eval(), text(1, 9), states=evaluated)
    assert len(trained) == 1 and len(evaluated) == 4 and torch.equal(out, final(encoder, trained[0]))


@pytest.mark.parametrize("probability", ["dropout", "attention_dropout", "activation_dropout"])
def test_dropout_is_of_training_alone(kind, probability):
    encoder, tokens = build(kind, **{probability: 0.3}), text(1, 30)
    assert torch.equal(run(encoder, tokens), run(build(kind), tokens))
    encoder.train()
    assert not torch.equal(run(encoder, tokens), run(encoder, tokens))


def test_hidden_states_and_attention_internals(kind):
    encoder, tokens = build(kind), text(2, 13)
    tokens[1, 9:] = PAD
    states, internals = [], []
    out = run(encoder, tokens, states=states, internals=internals)
    assert [state.shape for state in states] == [(2, 13, 16)] * 4 and torch.equal(final(encoder, states[-1]), out)
    assert [(layer.q.shape, layer.k.shape) for layer in internals] == [((2, 2, 13, 8),) * 2] * 3
    torch.testing.assert_close(out[tokens != PAD], run(encoder, tokens)[tokens != PAD])


def test_bfloat16(kind):
    encoder, tokens = build(kind).float(), text(2, 40)
    expected = run(encoder, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = run(encoder.train(), tokens)
        hidden.float().square().mean().backward()
    assert (hidden.float() - expected).norm() / expected.norm() < 5e-2
    assert all(p.grad.isfinite().all() for p in encoder.parameters())
    throughout = run(build(kind).bfloat16(), tokens)
    assert throughout.dtype == torch.bfloat16 and throughout.isfinite().all()
