"""BigBird-ITC as a fairseq model: what its architectures are, and that options reach the encoder."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from omegaconf import OmegaConf

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models import BigBirdModel, BigBirdModelConfig, FullAttentionModel, FullAttentionModelConfig

SIZES = {
    "encoder_layers": 2,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 24,
    "encoder_attention_heads": 2,
    "max_positions": 80,
}


def task(vocab_size=20, **cfg):
    dictionary = Dictionary()
    for n in range(vocab_size - len(dictionary)):
        dictionary.add_symbol(f"w{n}")
    return SimpleNamespace(source_dictionary=dictionary, cfg=SimpleNamespace(**cfg))


def build(cls=BigBirdModel, config=BigBirdModelConfig, **options):
    torch.manual_seed(0)
    return cls.build_model(OmegaConf.structured(config(**SIZES | options)), task()).eval()


def architecture(name):
    args = Namespace()
    ARCH_CONFIG_REGISTRY[name](args)
    return BigBirdModelConfig(**vars(args))


def text(*shape):
    return torch.randint(4, 20, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["bigbird_itc_base", "bigbird_itc_large"])
def test_architectures_are_the_released_checkpoints(name):
    """Their sizes with 50,358 vocab_size, as transformers builds them, the two rows of token types aside."""
    from transformers import BigBirdConfig
    from transformers.models.big_bird.modeling_big_bird import BigBirdModel as Theirs

    released = BigBirdConfig()  # the base size
    if name == "bigbird_itc_large":
        released = BigBirdConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
    cfg = architecture(name)
    assert cfg.layer_norm_eps == released.layer_norm_eps and cfg.max_positions == released.max_position_embeddings
    assert (cfg.activation, released.hidden_act) == ("gelu_tanh", "gelu_new")
    assert (cfg.block_size, cfg.random_blocks) == (released.block_size, released.num_random_blocks)
    with torch.device("meta"):
        encoder = ARCH_MODEL_REGISTRY[name].build_model(OmegaConf.structured(cfg), task(released.vocab_size)).encoder
        theirs = Theirs(released, add_pooling_layer=False)
    total, expected = (sum(p.numel() for p in model.parameters()) for model in (encoder, theirs))
    assert total == expected - 2 * released.hidden_size


def test_keys_are_those_of_full_attention():
    full = build(FullAttentionModel, FullAttentionModelConfig).state_dict()
    assert {key: value.shape for key, value in build().state_dict().items()} == {k: v.shape for k, v in full.items()}


def test_options_reach_the_encoder():
    config = build(block_size=4, random_blocks=1, random_attention="first_block", random_seed=9).encoder.config
    assert (config.block_size, config.random_blocks, config.random_attention, config.seed) == (4, 1, "first_block", 9)
    assert build(global_blocks="first_two").encoder.config.global_blocks == "first_two"


def test_what_comes_out():
    model, tokens = build(block_size=4), text(2, 50)
    x, extra = model(tokens, return_all_hiddens=True)
    assert x.shape == (2, 50, 20) and len(extra["inner_states"]) == 3
    model.register_classification_head("kind", num_classes=5)
    assert model.eval()(tokens, classification_head_name="kind")[0].shape == (2, 5)
    model.register_span_head("bigbird")
    questions = torch.tensor([[1, 4, 0]] * 2)
    extra = model(tokens, questions=questions, starts=questions, features_only=True)[1]
    assert extra["start_logits"].shape == extra["end_logits"].shape == (2, 3, 50)


def test_a_row_alone_equals_it_in_a_padded_batch():
    model, row = build(block_size=4), text(1, 41)
    together = torch.full((2, 60), 1)
    together[0, :41], together[1] = row[0], text(1, 60)[0]
    torch.testing.assert_close(model(together)[0][0, :41], model(row)[0][0], rtol=1e-4, atol=1e-5)


def test_padding_insertion_is_refused():
    with pytest.raises(UserError, match="BigBird-ITC: padding insertion has no meaning"):
        BigBirdModel.build_model(OmegaConf.structured(BigBirdModelConfig(**SIZES)), task(padding_insertion=True))
    with pytest.raises(UserError, match="padding insertion"):
        build()(text(1, 3), positions=torch.tensor([[0, 5, 9]]))


def test_odd_sizes_are_one_line():
    with pytest.raises(UserError, match="block size 0 is not positive; choose sizes that fit together"):
        build(block_size=0)


def test_limits():
    assert build().max_positions() == 80
    with pytest.raises(ValueError, match="position 80 is past the 80 learned ones"):
        build()(text(1, 81))
