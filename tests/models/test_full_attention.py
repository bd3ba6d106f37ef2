"""The full-attention model: equations, padding, the limits of absolute positions."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from fairseq.data import Dictionary
from fairseq.models import ARCH_MODEL_REGISTRY

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models import FullAttentionModel

WORDS, C, H = 20, 12, 3


def model(**options):
    torch.manual_seed(0)
    symbols = Dictionary()
    for n in range(WORDS - 4):
        symbols.add_symbol(f"w{n}")
    sizes = {"encoder_layers": 2, "encoder_embed_dim": C, "encoder_ffn_embed_dim": 20, "encoder_attention_heads": H}
    cfg = sizes | {"max_positions": 16} | options
    return FullAttentionModel.build_model(cfg, SimpleNamespace(source_dictionary=symbols)).eval()


def test_a_layer_equals_the_equations():
    full = model()
    tokens = torch.randint(4, WORDS, (1, 9))
    states, internals = [], []
    full.encoder(tokens, states=states, internals=internals)
    layer, x = full.encoder.layers[0], states[0][0]
    heads = [slice(h * C // H, (h + 1) * C // H) for h in range(H)]
    q, k, v = layer.attention.q(x), layer.attention.k(x), layer.attention.v(x)
    rows = [(q[:, own] @ k[:, own].T / (C // H) ** 0.5).softmax(-1) @ v[:, own] for own in heads]
    a = layer.attention_norm(layer.attention.out(torch.cat(rows, -1)) + x)
    expected = layer.ffn_norm(layer.ffn.fc2(F.gelu(layer.ffn.fc1(a))) + a)
    torch.testing.assert_close(states[1][0], expected)
    torch.testing.assert_close(internals[0].q[0].transpose(0, 1).reshape(9, C), q)
    assert len(internals) == 2


def test_padding_changes_nothing_and_a_row_of_padding_is_finite():
    full = model()
    tokens = torch.randint(4, WORDS, (1, 7))
    padded = torch.cat([F.pad(tokens, (0, 4), value=1), torch.ones(1, 11, dtype=torch.long)])
    alone, together = full(tokens)[0], full(padded)[0]
    torch.testing.assert_close(together[:1, :7], alone)
    assert together.isfinite().all()


def test_factorised_token_embeddings():
    full = model(word_embed_dim=6)
    x, _ = full(torch.randint(4, WORDS, (2, 5)))
    assert x.shape == (2, 5, WORDS)
    assert full.encoder.embeddings.tokens.weight.shape == (WORDS, 6)


def test_positions_of_padding_insertion_are_refused():
    with pytest.raises(UserError, match="no meaning for such a model.s positions; leave out --padding-insertion"):
        model()(torch.full((1, 3), 5), positions=torch.tensor([[0, 5, 9]]))


def test_architectures():
    for family in ("bert", "roberta"):
        for size in ("tiny", "base", "large"):
            assert ARCH_MODEL_REGISTRY[f"{family}_full_{size}"] is FullAttentionModel


def test_base_size_has_the_parameters_of_bert():
    full = model(encoder_layers=12, encoder_embed_dim=768, encoder_ffn_embed_dim=3072, encoder_attention_heads=12)
    layers = sum(p.numel() for p in full.encoder.layers.parameters())
    assert layers == 85_054_464  # 12 layers of BERT base
