"""The LM head and the classification head."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from fairseq_littlebird.heads.classification import ClassificationHead
from fairseq_littlebird.heads.language_model import LanguageModelHead


def test_words_of_masked_tokens_alone():
    torch.manual_seed(0)
    head, embedding = LanguageModelHead(8, 20), torch.randn(20, 8)
    hidden, masked = torch.randn(2, 5, 8), torch.rand(2, 5) < 0.5
    everything = head(hidden, embedding)
    assert everything.shape == (2, 5, 20)
    torch.testing.assert_close(head(hidden, embedding, masked), everything[masked])
    expected = F.linear(F.layer_norm(F.gelu(head.dense(hidden[0, 0])), (8,)), embedding)
    torch.testing.assert_close(everything[0, 0], expected)


def test_the_words_bias_counts():
    head, embedding = LanguageModelHead(8, 20), torch.zeros(20, 8)
    head.bias.data[3] = 2.0
    assert head(torch.randn(1, 1, 8), embedding)[0, 0].tolist() == [2.0 * (i == 3) for i in range(20)]


def test_classes_come_from_the_first_token():
    torch.manual_seed(0)
    head = ClassificationHead(8, 6, 3, dropout=0.5).eval()
    hidden = torch.randn(4, 7, 8)
    logits = head(hidden)
    assert logits.shape == (4, 3)
    torch.testing.assert_close(logits, head.out_proj(torch.tanh(head.dense(hidden[:, 0]))))
    hidden[:, 1:] = 0
    assert torch.equal(head(hidden), logits)
    assert not torch.equal(head.train()(hidden), logits)
