"""BigBird-ETC as a fairseq model: its options, its segments, and real training runs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from omegaconf import OmegaConf

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.bigbird_etc import BigBirdETCModel, BigBirdETCModelConfig
from fairseq_littlebird.modules.token_annotations import TokenAnnotations

CONFIGS = Path(__file__).parents[2] / "configs" / "model"
SIZES = {
    "encoder_layers": 2,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 24,
    "encoder_attention_heads": 2,
    "global_tokens": 4,
    "local_radius": 3,
}


def build(vocab_size: int = 20, **options) -> BigBirdETCModel:
    torch.manual_seed(0)
    dictionary = Dictionary()
    for n in range(vocab_size - len(dictionary)):
        dictionary.add_symbol(f"w{n}")
    config = OmegaConf.structured(BigBirdETCModelConfig(**(SIZES | options)))  # as fairseq passes it
    return BigBirdETCModel.build_model(config, SimpleNamespace(source_dictionary=dictionary)).eval()


def text(*shape):
    return torch.randint(4, 20, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", ["tiny", "base", "large"])
def test_sizes_of_the_yaml_files_equal_the_architectures(size):
    name = f"bigbird_etc_{size}"
    assert ARCH_MODEL_REGISTRY[name] is BigBirdETCModel
    sizes = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert sizes.pop("_name") == "bigbird_etc"
    args = Namespace()
    ARCH_CONFIG_REGISTRY[name](args)
    architecture = vars(BigBirdETCModelConfig(**vars(args)))
    assert {key: architecture[key] for key in sizes} == sizes
    assert {key for key, value in vars(args).items() if value is not None} <= sizes.keys()


def test_base_size_has_bert_s_layers_and_the_tables():
    args = Namespace()
    ARCH_CONFIG_REGISTRY["bigbird_etc_base"](args)
    with torch.device("meta"):
        etc = build(**vars(BigBirdETCModelConfig(**vars(args))))
    layers = sum(p.numel() for p in etc.encoder.layers.parameters())
    assert layers == 85_054_464 + 12 * 12 * 2 * 27 * 64
    assert (etc.encoder.config.global_tokens, etc.encoder.config.local_radius) == (256, 84)


def test_segments_reach_the_encoder():
    etc, tokens = build(), text(2, 12)
    segments = torch.tensor([[[3, 5], [6, 8]], [[2, 9], [0, 0]]])
    plain, told = etc(tokens, features_only=True)[0], etc(tokens, features_only=True, segments=segments)[0]
    assert not torch.allclose(plain, told)
    torch.testing.assert_close(told, etc.encoder(tokens, annotations=TokenAnnotations(segments=segments)))


def test_what_comes_out():
    etc, tokens = build(), text(2, 9)
    x, extra = etc(tokens, return_all_hiddens=True, return_attention_internals=True)
    assert x.shape == (2, 9, 20) and [s.shape for s in extra["inner_states"]] == [(2, 9, 16)] * 3
    assert [r.q.shape for r in extra["attention_internals"]] == [(2, 2, 9, 8)] * 2


def test_batch_composition_never_matters():
    etc, row = build(), text(1, 6)
    batch = torch.full((3, 15), 1)
    batch[0, :6], batch[1] = row[0], text(1, 15)[0]
    together = etc(batch)[0]
    torch.testing.assert_close(together[0, :6], etc(row)[0][0], rtol=1e-4, atol=1e-5)
    assert together.isfinite().all()


def test_no_length_is_too_long():
    assert build(max_positions=7).max_positions() >= 2**20
    assert build(max_positions=7)(text(1, 300))[0].shape == (1, 300, 20)


def test_gaps_are_refused():
    with pytest.raises(UserError, match="no meaning for such a model.s positions; leave out --padding-insertion"):
        build()(text(1, 3), positions=torch.tensor([[0, 5, 9]]))


def test_odd_sizes_are_one_line():
    with pytest.raises(UserError, match="local radius 0 is not positive"):
        build(local_radius=0)
