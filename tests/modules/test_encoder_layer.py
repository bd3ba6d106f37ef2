"""A layer of an attention, a feed-forward network and an order of the norms, against its equations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fairseq_littlebird.modules.attention import AttentionContext, FullAttention
from fairseq_littlebird.modules.config import FullAttentionConfig
from fairseq_littlebird.modules.encoder_layer import EncoderLayer
from fairseq_littlebird.modules.feed_forward import FeedForward
from fairseq_littlebird.modules.unpadding import Unpadding

CONFIG = FullAttentionConfig(9, embed_dim=8, ffn_embed_dim=12, heads=2, attention_dropout=0.0)


def build(norm_order="post", bias=True, **options):
    torch.manual_seed(0)
    layer = EncoderLayer(FullAttention(CONFIG, bias), FeedForward(8, 12, bias=bias), norm_order, **options)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return layer.double()


def attended(module, x):
    q, k, v = (project(x).unflatten(2, (2, 4)).transpose(1, 2) for project in (module.q, module.k, module.v))
    return module.out(((q @ k.transpose(2, 3) / 2).softmax(-1) @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm_order", ["post", "pre"])
def test_equals_the_equations_with_every_gradient(norm_order, bias):
    layer, x = build(norm_order, bias), torch.randn(2, 7, 8, dtype=torch.float64, requires_grad=True)
    if norm_order == "post":
        a = layer.attention_norm(attended(layer.attention, x) + x)
        wanted = layer.ffn_norm(layer.ffn.fc2(F.gelu(layer.ffn.fc1(a))) + a)
    else:
        a = attended(layer.attention, layer.attention_norm(x)) + x
        wanted = layer.ffn.fc2(F.gelu(layer.ffn.fc1(layer.ffn_norm(a)))) + a
    got, internals = layer(x, AttentionContext())
    assert internals is None
    torch.testing.assert_close(got, wanted)
    upstream, tensors = torch.randn_like(got), [x, *layer.parameters()]
    torch.testing.assert_close(*(torch.autograd.grad(result, tensors, upstream) for result in (got, wanted)))


@pytest.mark.parametrize("norm_order", ["post", "pre"])
def test_gated_and_free_of_biases(norm_order):
    """Half of the inner layer times the activation of the other; no norm of what is normed already."""
    torch.manual_seed(0)
    first = norm_order == "post"
    layer = EncoderLayer(
        FullAttention(CONFIG, bias=False),
        FeedForward(8, 12, bias=False, gated=True),
        norm_order,
        norm_bias=False,
        norm_attention=first,
    ).double()
    assert not [name for name, _ in layer.named_parameters() if name.endswith(".bias")]
    x = torch.randn(2, 7, 8, dtype=torch.float64)
    network = lambda a: layer.ffn.fc2(F.gelu(layer.ffn.fc1(a)[..., :12]) * layer.ffn.fc1(a)[..., 12:])  # noqa: E731
    a = attended(layer.attention, x) + x
    if norm_order == "post":
        a = F.layer_norm(a, (8,), layer.attention_norm.weight, None, 1e-5)
        wanted = layer.ffn_norm(network(a) + a)
    else:
        wanted = network(layer.ffn_norm(a)) + a
    torch.testing.assert_close(layer(x, AttentionContext())[0], wanted)


def test_without_biases_there_are_none_but_the_norms():
    names = [name for name, _ in build(bias=False).named_parameters() if name.endswith(".bias")]
    assert names == ["attention_norm.bias", "ffn_norm.bias"]


@pytest.mark.parametrize("norm_order", ["post", "pre"])
def test_without_padding_as_with_it(norm_order):
    layer, x = build(norm_order), torch.randn(2, 7, 8, dtype=torch.float64)
    padding = torch.zeros(2, 7, dtype=torch.bool)
    padding[1, 3:] = True
    context = AttentionContext(padding, Unpadding(padding))
    result, internals = layer(context.unpad(x), context, with_internals=True)
    torch.testing.assert_close(result, layer(x, AttentionContext(padding))[0][~padding])
    torch.testing.assert_close(result[7:], layer(x[1:, :3], AttentionContext())[0][0])
    assert internals.q.shape == internals.k.shape == (2, 2, 7, 4)


def test_dropout_is_in_training_alone():
    layer, x = build(dropout=0.5), torch.randn(2, 7, 8, dtype=torch.float64)
    assert not torch.equal(*(layer.train()(x, AttentionContext())[0] for _ in range(2)))
    assert torch.equal(*(layer.eval()(x, AttentionContext())[0] for _ in range(2)))


def test_another_order_is_named():
    with pytest.raises(ValueError, match="norm order 'sandwich' is not one of post, pre"):
        build("sandwich")
