"""Every family's parameters to ours and back, bit for bit, and what transformers and fairseq then compute."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch

from fairseq_littlebird.conversion.adapters import HUGGING_FACE
from fairseq_littlebird.conversion.fairseq_roberta import FAIRSEQ_ROBERTA
from fairseq_littlebird.conversion.folding import (
    fold_positions,
    join_span_head,
    split_projections,
    split_span_head,
    unfold_positions,
)
from fairseq_littlebird.conversion.full_attention import full_attention
from fairseq_littlebird.conversion.key_map import check_keys
from fairseq_littlebird.conversion.littlebird import LITTLEBIRD
from fairseq_littlebird.conversion.parameters import CONTEXT, encoder_shapes, global_shapes, head_shapes
from fairseq_littlebird.conversion.reading import read_source
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules import FullAttentionConfig, FullAttentionEncoder

SMALL = {"layers": 2, "embed_dim": 16, "ffn_embed_dim": 24, "heads": 2, "max_positions": 40}
MODERN = {"normalize_before": True, "gated_feed_forward": True, "bias_free": True, "positions": "rotary"}
# class -> what is dropped on purpose: all else has to come back
DROPPED = {
    "BertModel": {"pooler.dense"},
    "BertForMaskedLM": set(),
    "BertForPreTraining": {"bert.pooler.dense", "cls.seq_relationship"},
    "BertForQuestionAnswering": set(),
    "RobertaModel": {"pooler.dense"},
    "RobertaForMaskedLM": set(),
    "RobertaForQuestionAnswering": set(),
    "XLMRobertaForMaskedLM": set(),
    "ElectraModel": set(),
    "ElectraForMaskedLM": set(),
    "ElectraForPreTraining": {"discriminator_predictions.dense", "discriminator_predictions.dense_prediction"},
    "BigBirdModel": {"pooler"},
    "BigBirdForMaskedLM": {"bert.pooler"},
    "BigBirdForPreTraining": {"bert.pooler", "cls.seq_relationship"},
    "BigBirdForQuestionAnswering": set(),
    "LongformerModel": {"pooler.dense"},
    "LongformerForMaskedLM": set(),
    "LongformerForQuestionAnswering": set(),
    "ModernBertModel": set(),
    "ModernBertForMaskedLM": set(),
}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert not [key for key in one if not torch.equal(one[key], other[key])]


def random_state(shapes):
    generator = torch.Generator().manual_seed(0)
    return {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def family(folder):
    return json.loads((folder / "config.json").read_text())["model_type"]


@pytest.mark.parametrize("name", DROPPED)
def test_theirs_to_ours_and_back(hugging_face, name):
    """The whole ``state_dict`` of transformers, tied weights included."""
    model, folder = hugging_face(name)
    adapter, theirs = HUGGING_FACE[family(folder)], model.state_dict()
    ours, dropped = adapter.to_ours(theirs, "")
    back = adapter.from_ours(ours)
    lost = {key for key in theirs if key.rpartition(".")[0] in DROPPED[name]}
    kept = {key: value for key, value in theirs.items() if key not in lost}
    if name == "ElectraForPreTraining":  # without its only head, the encoder's keys have no prefix
        kept = {key.removeprefix("electra."): value for key, value in kept.items()}
    assert_equal(back, kept)
    assert {*dropped} == {adapter.table_key(key) for key in lost}


@pytest.mark.parametrize("name", DROPPED)
def test_a_source_s_parameters_come_back(hugging_face, name):
    """Ours to theirs to ours, with positions, token types and span heads as the encoders here have them."""
    source = read_source(hugging_face(name)[1])
    adapter = HUGGING_FACE[family(source.path)]
    offset = 2 if adapter.positions_after_padding else 0
    theirs = dict(source.state)
    unfold_positions(theirs, offset, types=2)
    join_span_head(theirs)
    theirs = adapter.from_ours(theirs)
    ours, dropped = adapter.to_ours(theirs, "")
    split_span_head(ours)
    split_projections(ours)
    fold_positions(ours, offset, [], context=CONTEXT in source.state)
    assert_equal(ours, source.state)
    assert not dropped


@pytest.mark.parametrize(
    "name, embedding_size",
    [("BertModel", 16), ("RobertaModel", 16), ("XLMRobertaModel", 16), ("ElectraModel", 16), ("ElectraModel", 8)],
)
def test_transformers_computes_what_our_encoder_does(transformers, name, embedding_size):
    """An encoder of ours with random parameters in transformers' own classes."""
    config = FullAttentionConfig(30, word_embed_dim=embedding_size % 16, layer_norm_eps=1e-5, padding_idx=1, **SMALL)
    torch.manual_seed(0)
    encoder = FullAttentionEncoder(config).eval()
    own = {f"encoder.{key}": torch.randn_like(value) for key, value in encoder.state_dict().items()}
    encoder.load_state_dict({key.removeprefix("encoder."): value for key, value in own.items()})
    kind = getattr(transformers, name.replace("Model", "Config"))
    adapter = HUGGING_FACE[kind.model_type]
    offset = 2 if adapter.positions_after_padding else 0
    theirs = kind(vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
                  embedding_size=embedding_size, max_position_embeddings=40 + offset, pad_token_id=1,
                  layer_norm_eps=1e-5, type_vocab_size=2)  # fmt: skip
    model = getattr(transformers, name)(theirs).eval()
    unfolded = dict(own)
    unfold_positions(unfolded, offset, types=2)
    missing, unexpected = model.load_state_dict(adapter.from_ours(unfolded), strict=False)
    assert not unexpected
    assert {key.partition(".")[0] for key in missing} <= {"pooler"}
    tokens = torch.randint(2, 30, (2, 17))
    tokens[1, 9:] = 1
    real = tokens != 1
    with torch.no_grad():
        wanted = encoder(tokens)
        given = model(tokens, attention_mask=real.long()).last_hidden_state
    torch.testing.assert_close(given[real], wanted[real], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", [False, True])
def test_our_shapes_come_back_from_every_family(head):
    """Random parameters of every shape that the contract has."""
    config, modern = FullAttentionConfig(30, **SMALL), FullAttentionConfig(30, **SMALL, **MODERN)
    adapters = {**HUGGING_FACE, "fairseq": FAIRSEQ_ROBERTA, "ours": full_attention(config), "littlebird": LITTLEBIRD}
    for name, adapter in (adapters | {"modern ours": full_attention(modern)}).items():
        of = modern if name.startswith("modern") else config
        shapes = encoder_shapes(of) | (head_shapes(of) if head else {})
        ours = random_state(shapes | (global_shapes(of) if name == "longformer" else {}))
        theirs = adapter.from_ours(ours)
        back, dropped = adapter.to_ours(theirs, name)
        if name != "littlebird":  # its parameters are other ones
            check_keys(back, of, adapter.key_map, name)
        split_projections(back)
        assert_equal(back, ours)
        assert not dropped


def test_what_a_family_has_no_place_for():
    config = FullAttentionConfig(30, **SMALL)
    state = random_state(encoder_shapes(config) | {"encoder.pack": (4, 16), CONTEXT: (16,)})
    with pytest.raises(UserError, match="Hugging Face bert has no place for encoder.embeddings.context, encoder.pack"):
        HUGGING_FACE["bert"].from_ours(state)


def test_fairseq_s_roberta_to_ours_and_back(tmp_path: Path):
    """fairseq's own ``state_dict``; what comes back gives the same hidden states in a new model."""
    from fairseq.data import Dictionary
    from fairseq.models.roberta import RobertaModel, base_architecture

    dictionary = Dictionary()
    for n in range(20):
        dictionary.add_symbol(str(n))
    args = argparse.Namespace(
        arch="roberta_base", encoder_layers=2, encoder_embed_dim=16, encoder_ffn_embed_dim=24,
        encoder_attention_heads=2, max_positions=20, tokens_per_sample=20, data="",
    )  # fmt: skip
    base_architecture(args)
    task = argparse.Namespace(source_dictionary=dictionary, dictionary=dictionary)
    model, other = (RobertaModel.build_model(args, task).eval() for _ in range(2))
    theirs = model.state_dict()
    ours, dropped = FAIRSEQ_ROBERTA.to_ours(theirs, "")
    back = FAIRSEQ_ROBERTA.from_ours(ours)
    assert {*dropped} == {"encoder.sentence_encoder.version"} & theirs.keys()
    assert_equal(back, {key: value for key, value in theirs.items() if key not in dropped})
    missing, unexpected = other.load_state_dict(back, strict=False)
    assert not unexpected and {*missing} <= {*dropped}
    tokens = torch.randint(4, len(dictionary), (2, 9))
    with torch.no_grad():
        assert torch.equal(other(tokens)[0], model(tokens)[0])


def test_the_newest_spelling_of_a_key():
    """Old names and prefixes lead to the same table; the way back takes the newest."""
    for adapter, key, wanted in (
        (HUGGING_FACE["bert"], "bert.embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"),
        (FAIRSEQ_ROBERTA, "decoder.sentence_encoder.emb_layer_norm.bias",
         "encoder.sentence_encoder.layernorm_embedding.bias"),
        (FAIRSEQ_ROBERTA, "lm_head.bias", "encoder.lm_head.bias"),
    ):  # fmt: skip
        state = {key: torch.ones(3)}
        ours, _ = adapter.to_ours(state, "")
        assert adapter.table_key(key) == wanted and adapter.table_key(wanted) == wanted
        assert len(ours) == 1
