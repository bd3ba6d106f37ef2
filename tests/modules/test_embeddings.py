"""The vector that tells a context from its question."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.input_error import InputError
from fairseq_littlebird.modules.config import FullAttentionConfig
from fairseq_littlebird.modules.embeddings import Embeddings

SIZES = {"layers": 1, "embed_dim": 8, "heads": 2, "max_positions": 9, "dropout": 0.0}


@pytest.fixture
def embeddings() -> Embeddings:
    made = Embeddings(FullAttentionConfig(20, context_type=True, **SIZES)).double()
    torch.nn.init.normal_(made.context)
    return made


def test_the_context_alone_gets_it(embeddings):
    tokens = torch.randint(2, 20, (2, 9))
    x = embeddings(tokens, context_starts=torch.tensor([3, 7]))
    plain = embeddings.tokens(tokens) + embeddings.positions(torch.arange(9))
    for row, start in enumerate((3, 7)):
        plain[row, start:] += embeddings.context
    torch.testing.assert_close(x, embeddings.norm(plain))


def test_a_text_without_question_has_none_of_it(embeddings):
    """It still gets a gradient, or distributed training would wait for it."""
    tokens = torch.randint(2, 20, (2, 9))
    x = embeddings(tokens)
    torch.testing.assert_close(x, embeddings.norm(embeddings.tokens(tokens) + embeddings.positions(torch.arange(9))))
    x.sum().backward()
    assert not embeddings.context.grad.any()


@pytest.mark.parametrize("positions", [None, torch.arange(10)[None]])
def test_a_position_past_the_learned_ones_is_told(embeddings, positions):
    with pytest.raises(InputError, match="position 9 is past the 9 learned ones"):
        embeddings(torch.full((1, 10), 3), positions)
