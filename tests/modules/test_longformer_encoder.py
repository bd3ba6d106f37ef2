"""The Longformer encoder: its layers' equations, windows, global tokens, and batches with padding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fairseq_littlebird.attention.longformer import dense_longformer_attention
from fairseq_littlebird.modules.attention.heads import merge_heads, split_heads
from fairseq_littlebird.modules.config import FullAttentionConfig, LongformerConfig
from fairseq_littlebird.modules.full_attention_encoder import FullAttentionEncoder
from fairseq_littlebird.modules.longformer_encoder import LongformerEncoder
from fairseq_littlebird.modules.token_annotations import TokenAnnotations

SIZES = {
    "vocab_size": 30, "layers": 2, "embed_dim": 12, "ffn_embed_dim": 20, "heads": 3, "max_positions": 600,
    "dropout": 0.0, "attention_dropout": 0.0,
}  # fmt: skip


def each_layer(dilations, windows):
    """The same dilations of the heads in all layers, where they are not given layer by layer."""
    return dilations if isinstance(dilations[0], tuple) else (dilations,) * len(windows)


def encoder(windows=(4, 6), dilations=(1, 2, 1), **options):
    """Every parameter random, in float64."""
    torch.manual_seed(0)
    sizes = SIZES | options | {"attention_window": windows, "dilations": each_layer(dilations, windows)}
    made = LongformerEncoder(LongformerConfig(**sizes))
    for parameter in made.layers.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.double().eval()


def text(B=1, L=23, seed=0):
    return torch.randint(4, 30, (B, L), generator=torch.Generator().manual_seed(seed))


def chosen(tokens, *positions):
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    mask[:, positions] = True
    return mask


def test_layers_equal_the_equations():
    model, tokens = encoder(), text(2)
    global_tokens = chosen(tokens, 0, 3, 17)
    global_tokens[1, 3] = False
    states = []
    model(tokens, states=states, annotations=TokenAnnotations(global_tokens=global_tokens))
    for layer, window, x, expected in zip(model.layers, (4, 6), states[:-1], states[1:], strict=True):
        apart = torch.stack([x[0, [0, 3, 17]], x[1, [0, 17, 1]]])
        module = layer.attention
        own = (split_heads(project(x), 3) for project in (module.q, module.k, module.v))
        others = (split_heads(module.global_q(apart), 3), split_heads(module.global_k(x), 3))
        where = split_heads(module.global_v(x), 3), global_tokens, None, window, (1, 2, 1)
        attended = module.out(merge_heads(dense_longformer_attention(*own, *others, *where)))
        a = layer.attention_norm(attended + x)
        torch.testing.assert_close(expected, layer.ffn_norm(layer.ffn.fc2(F.gelu(layer.ffn.fc1(a))) + a))


def reads(model, tokens, at, **annotations):
    """The tokens that the output at one position depends on."""
    states = []
    result = model(tokens, states=states, annotations=TokenAnnotations(**annotations))
    (gradient,) = torch.autograd.grad(result[0, at].sin().sum(), states[0])
    return gradient[0].ne(0).any(-1).nonzero().flatten().tolist()


def test_each_layer_has_its_own_window():
    assert reads(encoder((4, 6), (1, 1, 1)), text(), 11) == list(range(6, 17))
    assert reads(encoder((2, 2), (1, 1, 1)), text(), 11) == list(range(9, 14))
    assert reads(encoder((2, 2), (3, 3, 3)), text(), 11) == [5, 8, 11, 14, 17]


def test_each_layer_and_head_has_its_own_dilation():
    model = encoder((2, 2), ((1, 1, 1), (1, 1, 5)))
    assert reads(model, text(), 11) == [5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17]
    assert [layer.attention.dilations for layer in model.layers] == [(1, 1, 1), (1, 1, 5)]


def test_a_global_token_reads_and_is_read_by_all():
    tokens = text()
    model = encoder((2, 2), (1, 1, 1))
    assert reads(model, tokens, 20, global_tokens=chosen(tokens, 5)) == list(range(23))
    one = encoder((2,), (1, 1, 1), layers=1)
    assert reads(one, tokens, 20, global_tokens=chosen(tokens, 5)) == [5, 19, 20, 21]
    assert reads(one, tokens, 5, global_tokens=chosen(tokens, 5)) == list(range(23))


def test_a_wide_window_with_new_global_projections_is_full_attention():
    """These start as copies of the others, so a token's being global changes nothing but whom it sees."""
    torch.manual_seed(0)
    sparse = LongformerEncoder(LongformerConfig(**SIZES, attention_window=(64, 64), dilations=((1, 1, 1),) * 2)).eval()
    full = FullAttentionEncoder(FullAttentionConfig(**SIZES)).eval()
    left_over = full.load_state_dict(sparse.state_dict(), strict=False)
    assert not left_over.missing_keys
    names = {f"layers.{n}.attention.global_{p}.{w}" for n in range(2) for p in "qkv" for w in ("weight", "bias")}
    assert set(left_over.unexpected_keys) == names
    tokens = text(2)
    tokens[1, 9:] = 1
    for global_tokens in (None, chosen(tokens, 0, 8)):
        result = sparse(tokens, annotations=TokenAnnotations(global_tokens=global_tokens))
        torch.testing.assert_close(result[tokens != 1], full(tokens)[tokens != 1])


@pytest.mark.parametrize("more", [1, 40])  # little padding is computed with, much is left out
def test_a_row_alone_equals_the_row_in_a_batch(more):
    model, tokens = encoder(), text(1, 37)
    together = torch.cat([F.pad(tokens, (0, more), value=1), text(1, 37 + more, 1), text(1, 37 + more, 1) * 0 + 1])
    global_tokens = torch.zeros_like(together, dtype=torch.bool)
    global_tokens[0, [0, 9]] = global_tokens[1, :5] = global_tokens[2, :7] = True
    result = model(together, annotations=TokenAnnotations(global_tokens=global_tokens))
    alone = model(tokens, annotations=TokenAnnotations(global_tokens=chosen(tokens, 0, 9)))
    torch.testing.assert_close(result[:1, :37], alone)
    assert result.isfinite().all()


def test_padding_content_never_matters():
    model, tokens = encoder(), text(2)
    padding = torch.zeros_like(tokens, dtype=torch.bool)
    padding[1, 20:] = True
    global_tokens = chosen(tokens, 1, 21)  # the latter is padding in the second row
    other = tokens.masked_fill(padding, 7)
    results = [
        model(t, padding_mask=padding, annotations=TokenAnnotations(global_tokens=global_tokens))
        for t in (tokens, other)
    ]
    torch.testing.assert_close(results[0][~padding], results[1][~padding])
    global_tokens = global_tokens & ~padding
    again = model(tokens, padding_mask=padding, annotations=TokenAnnotations(global_tokens=global_tokens))
    torch.testing.assert_close(again[~padding], results[0][~padding])


@pytest.mark.parametrize("padded", [False, True])
def test_every_parameter_has_a_gradient(padded):
    """Training on several devices waits for all of them, whichever tokens are global where."""
    tokens = text(2)
    if padded:
        tokens[1, 8:] = 1
    for global_tokens in (None, chosen(tokens) & False, chosen(tokens, 0)):
        model, read = encoder().train(), []
        model.layers[0].attention.global_k.register_forward_hook(
            lambda _, inputs, __, read=read: read.append(inputs[0].shape[1])
        )
        model(tokens, annotations=TokenAnnotations(global_tokens=global_tokens))[0].sin().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        used = [n for n, p in model.named_parameters() if ".global_" in n and p.grad.any()]
        any_global = global_tokens is not None and bool(global_tokens.any())
        assert bool(used) == any_global and read == [23 if any_global else 0]


def test_nothing_is_quadratic_in_the_length(largest_tensor):
    largest = {}
    model = encoder((32, 32), (1, 1, 1), max_positions=4096)
    for L in (2048, 4096):
        tokens = text(1, L)
        with largest_tensor() as mode:
            model(tokens, annotations=TokenAnnotations(global_tokens=chosen(tokens, 0, 1))).sum().backward()
        largest[L] = mode.numel
    assert largest[4096] <= 2.1 * largest[2048]


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"attention_window": (4,)}, "1 attention windows do not fit 2 layers"),
        ({"attention_window": (4, 5)}, "attention window 5 is not an even number of at least 2"),
        ({"attention_window": (0, 4)}, "attention window 0 is not an even number of at least 2"),
        ({"dilations": ((1, 1, 1),)}, "attention dilations of 1 layers do not fit 2 layers"),
        ({"dilations": ((1, 1, 1), (1, 2))}, "2 attention dilations do not fit 3 heads"),
        ({"dilations": ((1, 1, 1), (1, 0, 1))}, "attention dilation 0 is not positive"),
    ],
)
def test_odd_sizes_are_named(sizes, message):
    with pytest.raises(ValueError, match=message):
        LongformerConfig(**SIZES | {"attention_window": (4, 4), "dilations": ((1, 1, 1),) * 2} | sizes)
