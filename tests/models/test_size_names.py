"""The table of names against what has them: a size without a line, or a line without its size, is found here."""

from __future__ import annotations

from dataclasses import fields

import pytest

from fairseq_littlebird.models import LittleBirdModelConfig
from fairseq_littlebird.models.architectures import EncoderModelConfig
from fairseq_littlebird.models.full_attention import FullAttentionModelConfig
from fairseq_littlebird.modules import EncoderConfig, FullAttentionConfig, LittleBirdConfig
from fairseq_littlebird.modules.size_names import FULL_ATTENTION_SIZE_NAMES, LITTLEBIRD_SIZE_NAMES, SIZE_NAMES


@pytest.mark.parametrize(
    ("names", "config", "options"),
    [
        (SIZE_NAMES, EncoderConfig, EncoderModelConfig),
        (FULL_ATTENTION_SIZE_NAMES, FullAttentionConfig, FullAttentionModelConfig),
        (LITTLEBIRD_SIZE_NAMES, LittleBirdConfig, LittleBirdModelConfig),
    ],
)
def test_every_size_has_one_line(names, config, options):
    assert sorted(name.config for name in names) == sorted(field.name for field in fields(config))
    of_fairseq = {field.name for field in fields(options)} - {"_name", "pooler_dropout", "no_window"}
    assert sorted(name.fairseq for name in names if name.fairseq) == sorted(of_fairseq)


def test_transformers_configuration_has_them():
    pytest.importorskip("transformers")
    from fairseq_littlebird.export.configuration_littlebird import LittleBirdConfig as Theirs

    theirs = Theirs()
    named = [name.hugging_face for name in LITTLEBIRD_SIZE_NAMES if name.hugging_face]
    assert len({*named}) == len(named) and all(hasattr(theirs, name) for name in named)


def test_sizes_reach_the_encoder_under_its_own_names():
    options = LittleBirdModelConfig(encoder_layers=5, encoder_embed_dim=24, encoder_layerdrop=0.5, word_embed_dim=3)
    assert EncoderConfig(9, **options.sizes()) == EncoderConfig(
        9, layers=5, embed_dim=24, layerdrop=0.5, word_embed_dim=3
    )
