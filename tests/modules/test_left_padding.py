"""Sequences padded on the left: refused by every encoder, moved where a model takes them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.modules.bigbird_encoder import BigBirdEncoder
from fairseq_littlebird.modules.config import (
    BigBirdConfig,
    ETCConfig,
    FullAttentionConfig,
    LittleBirdConfig,
    LongformerConfig,
)
from fairseq_littlebird.modules.etc_encoder import ETCEncoder
from fairseq_littlebird.modules.full_attention_encoder import FullAttentionEncoder
from fairseq_littlebird.modules.left_padding import first_tokens, shifted
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder
from fairseq_littlebird.modules.longformer_encoder import LongformerEncoder

ENCODERS = {
    LittleBirdEncoder: LittleBirdConfig,
    FullAttentionEncoder: FullAttentionConfig,
    LongformerEncoder: LongformerConfig,
    BigBirdEncoder: BigBirdConfig,
    ETCEncoder: ETCConfig,
}
PAD = 1


@pytest.mark.parametrize("encoder_class", ENCODERS)
def test_every_encoder_refuses_it(encoder_class):
    config = ENCODERS[encoder_class](20, PAD, layers=12, embed_dim=12, ffn_embed_dim=8, heads=12)
    encoder = encoder_class(config).eval()
    tokens = torch.randint(2, 20, (3, 12))
    tokens[1, 7:] = tokens[2] = PAD  # a sequence of padding alone is nobody's mistake
    encoder(tokens)
    tokens[1] = tokens[1].flip(0)
    with pytest.raises(ValueError, match="^padding on the left"):
        encoder(tokens)
    with pytest.raises(ValueError, match="^padding on the left"):
        encoder(torch.full((1, 4), 5), padding_mask=torch.tensor([[True, False, False, True]]))


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4))
def test_moving_there_and_back(rows):
    padding = torch.tensor(rows)
    first = first_tokens(padding)
    assert first.tolist() == [row.index(False) if False in row else 0 for row in rows]
    for x in (torch.arange(padding.numel()).view_as(padding), torch.rand(len(rows), 6, 2, 3)):
        moved = shifted(x, first)
        for row, other, n in zip(x, moved, first.tolist(), strict=True):
            assert torch.equal(other, torch.cat([row[n:], row[:n]]))
        assert torch.equal(shifted(moved, -first), x)
