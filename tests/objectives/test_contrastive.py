"""Masked sentences, and the loss that tells them apart."""

from __future__ import annotations

import torch

from fairseq_littlebird.objectives.contrastive import SHORTEST, contrastive_loss, mask_sentences

BOS, PAD, EOS, STOP = 0, 1, 2, 4
ENDS, SPECIAL = torch.zeros(40, dtype=torch.bool), torch.zeros(40, dtype=torch.bool)
ENDS[STOP], SPECIAL[[BOS, PAD, EOS]] = True, True


def masked(rows, probability=1.0, maximum=9, seed=0):
    width = max(map(len, rows))
    tokens = torch.tensor([row + [PAD] * (width - len(row)) for row in rows])
    generator = torch.Generator().manual_seed(seed)
    return tokens, mask_sentences(tokens, ENDS, SPECIAL, PAD, probability, maximum, generator)


def test_sentences_end_at_their_marks_and_at_special_tokens():
    _, found = masked([[BOS, 5, 6, 7, STOP, 8, 9, STOP, EOS, 10, 11, 12, 13, 14], [BOS, 20, 21, 22, 23]])
    assert found.owner[0].tolist() == [0, 2, 2, 2, 2, 3, 3, 3, 0, 5, 5, 5, 5, 5]
    assert found.there[0].tolist() == [True, False, True, True, False, True]
    assert found.owner[1, :5].tolist() == [0, 2, 2, 2, 2] and (found.owner[1, 5:] == 0).all()
    # the second one of the first sequence is too short
    assert list(zip(found.rows.tolist(), found.columns.tolist(), strict=True)) == [(0, 2), (0, 5), (1, 2)]
    assert found.alone.tolist() == [[5, 6, 7, STOP, PAD], [10, 11, 12, 13, 14], [20, 21, 22, 23, PAD]]
    assert found.hidden[0].tolist() == [False] + [True] * 4 + [False] * 4 + [True] * 5
    assert SHORTEST == 4


def test_the_last_global_token_has_the_rest():
    _, found = masked([[BOS, *([5, 6, 7, STOP] * 6)]], maximum=4)
    assert found.owner.max() == 3 and (found.owner[0] == 3).sum() == 20  # 1 is that of <s>
    assert found.alone.shape == (2, 20)


def test_as_many_as_asked_and_the_same_for_a_seed():
    rows = [[BOS, *([5, 6, 7, STOP] * 100)]] * 4
    shares = [len(masked(rows, 0.3, 300, seed)[1].rows) / 400 for seed in range(5)]
    assert 0.2 < min(shares) and max(shares) < 0.4 and len(set(shares)) > 1
    assert torch.equal(masked(rows, 0.3, 300)[1].hidden, masked(rows, 0.3, 300)[1].hidden)


def test_no_sentence_is_masked():
    _, found = masked([[BOS, 5, STOP]])
    assert len(found.rows) == 0 and found.alone.shape == (0, 0) and not found.hidden.any()


def test_the_loss_is_cross_entropy_against_the_others_of_the_batch():
    encoded = torch.eye(4, dtype=torch.float64)
    exact = contrastive_loss(encoded * 200, encoded)
    assert exact.loss < 1e-9 and exact.correct == 4
    predicted = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted = -sum((predicted[i] / 2).log_softmax(0)[i] for i in range(4))
    torch.testing.assert_close(contrastive_loss(predicted, encoded).loss.double(), wanted, rtol=1e-5, atol=1e-6)
    assert contrastive_loss(encoded[[1, 0, 2, 3]], encoded).correct == 2
